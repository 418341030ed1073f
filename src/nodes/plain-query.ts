import pg from 'pg'

/** `query` of `pg.Client` without its overloads, which cannot be declared again in a subclass. */
export const plainQuery = (client: pg.Client, ...args: unknown[]): void => {
  Reflect.apply(Reflect.get(pg.Client.prototype, 'query'), client, args)
}
