/**
 * The names that each model offers and refuses. The types of the refused names, the refusals at
 * run time and the parity tests all come from these lists: a new method is added here first.
 */

/** What a read model's class offers. */
export const READ_CLASS = [
  'all',
  'average',
  'count',
  'exists',
  'find',
  'findBy',
  'first',
  'inBatches',
  'last',
  'limit',
  'maximum',
  'minimum',
  'offset',
  'orderBy',
  'paginate',
  'pluck',
  'query',
  'select',
  'sql',
  'stream',
  'sum',
  'where',
  'with',
] as const

/** What a read model's instances offer. */
export const READ_INSTANCE = ['reload'] as const

/** What a write model's class offers. */
export const WRITE_CLASS = [
  'create',
  'delete',
  'deleteAll',
  'increment',
  'insertAll',
  'lock',
  'transaction',
  'update',
  'updateAll',
  'upsert',
] as const

/** What a write model's instances offer. */
export const WRITE_INSTANCE = ['destroy', 'save', 'update'] as const

/** Writing methods of other libraries. No model offers them; a read model says why. */
const OTHER_WRITES = [
  'bulkCreate',
  'bulkInsert',
  'createMany',
  'createOrFindBy',
  'decrement',
  'decrementCounter',
  'deleteBy',
  'deleteMany',
  'destroyAll',
  'destroyBy',
  'findOrCreate',
  'findOrCreateBy',
  'firstOrCreate',
  'incrementCounter',
  'insert',
  'remove',
  'replace',
  'resetCounters',
  'saveAll',
  'toggle',
  'touch',
  'touchAll',
  'truncate',
  'updateAttribute',
  'updateAttributes',
  'updateBy',
  'updateColumn',
  'updateColumns',
  'updateCounters',
  'updateMany',
  'updateOrCreate',
  'upsertAll',
  'withLock',
] as const

/** Reading methods of other libraries that a write model refuses too. */
const OTHER_READS = ['findAll', 'findEach', 'findMany', 'findOne', 'ids', 'take'] as const

/** What a read model refuses: on its class, on its instances and on its queries alike. */
export const READ_REFUSES = [...WRITE_CLASS, 'destroy', 'save', ...OTHER_WRITES] as const

/** What a write model's class refuses. */
export const WRITE_REFUSES = [...READ_CLASS, ...READ_INSTANCE, ...OTHER_READS] as const

/** What a write model's instances refuse. Few names: every other one may be a column's. */
export const WRITE_INSTANCE_REFUSES = [...READ_INSTANCE] as const

/** A name that read models refuse. */
export type ReadRefused = (typeof READ_REFUSES)[number]
/** A name that the classes of write models refuse. */
export type WriteRefused = (typeof WRITE_REFUSES)[number]
/** A name that the instances of write models refuse. */
export type WriteInstanceRefused = (typeof WRITE_INSTANCE_REFUSES)[number]

/** The names of an instance that rows never overwrite, whatever the table's columns are called. */
export const INSTANCE_METHODS: ReadonlySet<string> = new Set([
  ...READ_INSTANCE,
  ...WRITE_INSTANCE,
  'constructor',
  '__proto__',
])

/** Every name that callers may chain on: a chain that starts with a refused one ends in that refusal. */
export const KNOWN_NAMES: ReadonlySet<string> = new Set([
  ...READ_REFUSES,
  ...WRITE_REFUSES,
  ...WRITE_INSTANCE,
])

/** The type of a name that a model refuses. It cannot be called, and the compiler's message shows why. */
export interface Refused<Why extends string> {
  /** Why it is refused, and what to use instead; there is no such property at run time. */
  readonly __segregato__: Why
}

/** The type of a writing method's name on a read model. */
export type RefusedByRead = Refused<'a read model cannot write; use a StrictWriteBase model'>
/** The type of a reading method's name on a write model. */
export type RefusedByWrite = Refused<'a write model cannot read; use a StrictReadBase model'>
