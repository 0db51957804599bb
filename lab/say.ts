/** One line of progress for a person. */
export type Say = (line: string) => void;
