/** A repository of the account's registry. `uri` is what images are named by: `<registry>/<name>`. */
export interface Repository {
  readonly name: string;
  readonly uri: string;
  readonly arn: string;
  readonly account: string;
}

/** What build and release need of the registry. Implemented over ECR here, by the simulation elsewhere. */
export interface Registry {
  /** Throws a ProblemsError (REPOSITORY_NOT_FOUND, AWS_ACCESS_DENIED). */
  describe(name: string): Promise<Repository>;
  /** Creates it (immutable tags with exclusions for `cache*`, scan on push); an existing one is returned as it is. */
  create(name: string): Promise<Repository>;
  /** The digest that a tag names, or undefined. */
  digestOf(name: string, tag: string): Promise<string | undefined>;
  /** A login for docker: the user is always AWS. The password is a secret: mask it before anything else. */
  login(): Promise<{ readonly registry: string; readonly password: string }>;
}
