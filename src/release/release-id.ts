/** `20261122-153000-3f2c1ab`: UTC, so that ids sort by time wherever they were made. */
export function releaseId(date: Date, commit: string): string {
  const digits = date.toISOString().replace(/\D/g, '');
  return `${digits.slice(0, 8)}-${digits.slice(8, 14)}-${shortCommit(commit)}`;
}

const RELEASE_ID = /^\d{8}-\d{6}-[0-9a-z]{1,7}$/;

export function isReleaseId(text: string): boolean {
  return RELEASE_ID.test(text);
}

/** Git's seven; a build without a commit says so. */
function shortCommit(commit: string): string {
  return (
    commit
      .toLowerCase()
      .replace(/[^0-9a-z]/g, '')
      .slice(0, 7) || 'nogit'
  );
}
