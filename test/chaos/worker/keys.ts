import type { Random } from '../random.ts'

const HOT = 30
const COLD = 400
/** Longer lists make everything slow: another key takes the place of one that has become so long. */
const RETIRED_AT = 80

/** Chooses keys: some that everybody wants, many that few want. */
export class Keys {
  readonly #random: Random
  readonly #generations = new Map<string, number>()

  constructor(random: Random) {
    this.#random = random
  }

  choose(): string {
    const random = this.#random
    const place = random.chance(0.6)
      ? `hot${random.between(1, HOT)}`
      : `cold${random.between(1, COLD)}`
    return `${place}.${this.#generations.get(place) ?? 0}`
  }

  /** Some keys, in the order in which transactions lock them. */
  some(most: number): readonly string[] {
    const count = this.#random.between(1, most)
    return [...new Set(Array.from({ length: count }, () => this.choose()))].toSorted()
  }

  noteLength(key: string, length: number): void {
    const [place, generation] = key.split('.') as [string, string]
    if (length < RETIRED_AT) return
    const present = this.#generations.get(place) ?? 0
    this.#generations.set(place, Math.max(present, Number(generation) + 1))
  }
}
