/**
 * For TypeDoc: the names that a model refuses come from a list, so each has no declaration that a
 * docstring could stand at. Their type says why they are refused; that is their documentation.
 */
import { Comment, Converter, ReflectionKind } from 'typedoc'

const REFUSED = new Set(['RefusedByRead', 'RefusedByWrite'])

export const load = (app) => {
  app.converter.on(Converter.EVENT_RESOLVE_END, (context) => {
    for (const property of context.project.getReflectionsByKind(ReflectionKind.Property)) {
      if (!REFUSED.has(property.type?.name)) continue
      property.comment ??= new Comment([{ kind: 'text', text: 'Refused; it cannot be called.' }])
    }
  })
}
