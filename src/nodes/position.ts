/** A log sequence number as one number: `16/B374D848` is 0x16_B374D848. */
export type Lsn = bigint

const FORMAT = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i

/** Reads PostgreSQL's notation of a log sequence number; `undefined` for NULL and for anything else. */
export const parseLsn = (text: string | null | undefined): Lsn | undefined => {
  const [, high, low] = FORMAT.exec(text ?? '') ?? []
  if (high === undefined || low === undefined) return undefined
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`)
}
