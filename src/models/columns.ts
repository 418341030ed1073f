import { EXECUTE, type CallOptions, type Executor } from '../cluster/statement.ts'
import { InvalidArgumentError } from '../errors.ts'
import { nearest } from './identifiers.ts'
import { tableOf } from './table.ts'
import { COLUMN_KINDS, type ColumnKind, type Model } from './types.ts'

/** What is known of one column. */
interface ColumnFacts {
  readonly kind: ColumnKind
  /** True only when the catalogue says so. */
  readonly notNull: boolean
}

/** What is known of a table's columns. */
export interface TableColumns {
  readonly facts: ReadonlyMap<string, ColumnFacts>
  /** Whether these are all columns, so that another name is a mistake. */
  readonly complete: boolean
}

const NOTHING: TableColumns = { facts: new Map(), complete: false }

const CATALOGUE = `select a.attname as name, a.attnotnull as "notNull", t.typname as type, t.typcategory as category
from pg_catalog.pg_attribute a
join pg_catalog.pg_type d on d.oid = a.atttypid
join pg_catalog.pg_type t on t.oid = case when d.typtype = 'd' then d.typbasetype else d.oid end
where a.attrelid = to_regclass($1) and a.attnum > 0 and not a.attisdropped`

interface CatalogueRow {
  readonly name: string
  readonly notNull: boolean
  readonly type: string
  readonly category: string
}

const KINDS: Readonly<Record<string, ColumnKind>> = {
  int2: 'exact',
  int4: 'exact',
  int8: 'exact',
  numeric: 'exact',
  float4: 'number',
  float8: 'number',
  bool: 'boolean',
  json: 'json',
  jsonb: 'json',
  date: 'date',
  timestamp: 'date',
  timestamptz: 'date',
  bytea: 'bytes',
}

const kindOf = ({ type, category }: CatalogueRow): ColumnKind =>
  KINDS[type] ?? (category === 'A' ? 'array' : category === 'S' ? 'text' : 'other')

const read = async (
  model: Model,
  executor: Executor,
  options: CallOptions,
): Promise<TableColumns> => {
  const statement = { text: CATALOGUE, values: [tableOf(model).sql] }
  const { rows } = await executor[EXECUTE]<CatalogueRow>(statement, options)
  const facts = new Map(rows.map((row) => [row.name, { kind: kindOf(row), notNull: row.notNull }]))
  return { facts, complete: facts.size > 0 }
}

const declared = new WeakMap<Model, TableColumns>()

/** What `static columns` says; `undefined` when the class leaves it to the catalogue. */
export const declaredColumns = (model: Model): TableColumns | undefined => {
  if (model.columns === undefined) return undefined
  let columns = declared.get(model)
  if (columns === undefined) {
    for (const [name, kind] of Object.entries(model.columns)) {
      if (!COLUMN_KINDS.includes(kind)) {
        throw new InvalidArgumentError(
          `${model.name}.columns.${name} must be one of ${COLUMN_KINDS.join(', ')}`,
        )
      }
    }
    const facts = Object.entries(model.columns).map(
      ([name, kind]) => [name, { kind, notNull: false }] as const,
    )
    declared.set(model, (columns = { facts: new Map(facts), complete: false }))
  }
  return columns
}

/** Keyed by the pool that is asked, so that a class bound to another cluster learns anew. */
const learned = new WeakMap<Executor, WeakMap<Model, Promise<TableColumns>>>()

/** Asks the catalogue once for each class and pool; concurrent first uses share the question. */
const learn = async (
  model: Model,
  executor: Executor,
  options: CallOptions,
  again: boolean,
): Promise<TableColumns> => {
  let models = learned.get(executor)
  if (models === undefined) learned.set(executor, (models = new WeakMap()))
  const known = models.get(model)
  if (known !== undefined && !again) {
    // Whoever asked may have failed for a reason of its own (a time-out, an aborted transaction): ask for ourselves.
    const columns = await known.catch(() => undefined)
    if (columns !== undefined) return columns
  }
  const asking = read(model, executor, options)
  models.set(model, asking)
  try {
    const columns = await asking
    // No rows: the table is not there yet, which may change.
    if (!columns.complete && models.get(model) === asking) models.delete(model)
    return columns
  } catch (error) {
    if (models.get(model) === asking) models.delete(model)
    throw error
  }
}

/**
 * The columns of a model's table, of which `names` are about to be used: from `static columns`, else
 * learned from the catalogue. A name that is not known makes it ask once more, since the column may
 * be newer than what was learned.
 *
 * @throws InvalidArgumentError when the table has no such column.
 */
export const columnsOf = async (
  model: Model,
  executor: Executor,
  names: readonly string[],
  options: CallOptions,
): Promise<TableColumns> => {
  const own = declaredColumns(model)
  if (own !== undefined || names.length === 0) return own ?? NOTHING
  let columns = await learn(model, executor, options, false)
  if (unknownName(columns, names) !== undefined)
    columns = await learn(model, executor, options, true)
  const wrong = unknownName(columns, names)
  if (wrong !== undefined) throw new InvalidArgumentError(unknownColumn(model, wrong, columns))
  return columns
}

const unknownName = (
  { complete, facts }: TableColumns,
  names: readonly string[],
): string | undefined => (complete ? names.find((name) => !facts.has(name)) : undefined)

const unknownColumn = (model: Model, wrong: string, { facts }: TableColumns): string => {
  const near = nearest(wrong, facts.keys())
  const shown = JSON.stringify(wrong.length > 63 ? `${wrong.slice(0, 63)}…` : wrong)
  return `${model.name}: ${tableOf(model).name} has no column ${shown}${near === undefined ? '' : `. Did you mean ${near}?`}`
}
