/** Which databases of a target several sources have, or had, keys for: at most 30 sources. */
export class UsedDatabases {
  /** By database: the sources, as bits. */
  private readonly users: number[] = [];

  /** Returns whether other sources use the database, too. */
  use(source: number, db: number): boolean {
    const own = 1 << source;
    const users = (this.users[db] ?? 0) | own;
    this.users[db] = users;
    return users !== own;
  }

  has(source: number, db: number): boolean {
    return ((this.users[db] ?? 0) & (1 << source)) !== 0;
  }

  isShared(source: number, db: number): boolean {
    return ((this.users[db] ?? 0) & ~(1 << source)) !== 0;
  }

  of(source: number): number[] {
    return [...this.users.keys()].filter((db) => this.has(source, db));
  }
}
