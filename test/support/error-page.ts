/** `docs/errors.md`, made of the error classes and what their docstrings say. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { format, resolveConfig } from 'prettier'
import ts from 'typescript'
import { ROOT } from './documents.ts'

/** The tags that every class must have, and what stands before them on the page. */
const TAGS = { outcome: 'What happened', repeat: 'Repeat it?', remedy: 'What to do' } as const
type Tag = keyof typeof TAGS

interface Property {
  readonly name: string
  readonly type: string
  readonly text: string
}

export interface ErrorClass {
  readonly name: string
  /** Absent for a base of others. */
  readonly code: string | undefined
  readonly base: string | undefined
  readonly text: string
  readonly tags: Readonly<Partial<Record<Tag, string>>>
  readonly properties: readonly Property[]
}

const plain = (comment: Parameters<typeof ts.getTextOfJSDocComment>[0]): string =>
  (ts.getTextOfJSDocComment(comment) ?? '')
    .replace(/\{@link (\w+)\}/g, '`$1`')
    .replace(/\s+/g, ' ')
    .trim()

const docOf = (node: ts.Node): ts.JSDoc | undefined =>
  ts.getJSDocCommentsAndTags(node).filter(ts.isJSDoc).at(-1)

const propertiesOf = (declaration: ts.ClassDeclaration, source: ts.SourceFile): Property[] =>
  declaration.members.filter(ts.isPropertyDeclaration).flatMap((member) => {
    const name = member.name.getText(source)
    if (name === 'code') return []
    const type = member.type?.getText(source) ?? ''
    return [{ name, type: type.replace(/\s+/g, ' '), text: plain(docOf(member)?.comment) }]
  })

const codeOf = (declaration: ts.ClassDeclaration, source: ts.SourceFile): string | undefined => {
  const code = declaration.members
    .filter(ts.isPropertyDeclaration)
    .find(({ name }) => name.getText(source) === 'code')
  return code?.initializer !== undefined && ts.isStringLiteral(code.initializer)
    ? code.initializer.text
    : undefined
}

/** Every exported class of `src/errors.ts`, in its order. */
export const readErrorClasses = (
  text = readFileSync(join(ROOT, 'src/errors.ts'), 'utf8'),
): ErrorClass[] => {
  const source = ts.createSourceFile('errors.ts', text, ts.ScriptTarget.Latest, true)
  return source.statements.filter(ts.isClassDeclaration).map((declaration) => {
    const tags = (docOf(declaration)?.tags ?? []).map((tag) => [
      tag.tagName.text,
      plain(tag.comment),
    ])
    return {
      name: declaration.name?.text ?? '',
      code: codeOf(declaration, source),
      base: declaration.heritageClauses?.[0]?.types[0]?.expression.getText(source),
      text: plain(docOf(declaration)?.comment),
      tags: Object.fromEntries(tags) as Partial<Record<Tag, string>>,
      properties: propertiesOf(declaration, source),
    }
  })
}

/** What is missing in a class's docstring. */
export const missingIn = ({ name, code, text, tags, properties }: ErrorClass): string[] => {
  if (code === undefined) return []
  const absent = Object.keys(TAGS).filter((tag) => !tags[tag as Tag])
  return [
    ...(text === '' ? [`${name}: what it means`] : []),
    ...absent.map((tag) => `${name}: @${tag}`),
    ...properties
      .filter((property) => property.text === '')
      .map((property) => `${name}.${property.name}`),
  ]
}

const INTRODUCTION = `# Errors

<!-- Made from the docstrings of src/errors.ts by \`npm run docs:errors\`: change them, not this page. -->

Every error that the library itself raises is a \`SegregatoError\` with a \`code\` that stays as it is. \`instanceof\` works
for each class; \`SegregatoError\` also knows errors of another installed copy of the library. \`name\` is the name of the
class. No error shows a password or a value of a row: \`cause\`, where there is one, is PostgreSQL's or the socket's own
error, whose \`detail\` may hold values; it is not in JSON and has to be asked for.

What PostgreSQL itself says passes through \`cluster.writer\` and \`cluster.reader\` as \`pg\` gives it, with \`code\` = SQLSTATE. A
statement that it refused (\`severity\` is \`ERROR\`) was certainly not done; a message that ends the connection (\`FATAL\`,
such as 57P01) says nothing about a write that had been sent. Models turn the refusals that a caller wants to tell apart
into the classes below whose \`sqlState\` is set. A call that a \`signal\` ended rejects with the signal's reason.

After a write there are three answers. **Done**: the promise resolves. **Certainly not done**: the classes below that say
so. **Unknown**: \`WriteOutcomeUnknownError\`, after which the library repeats nothing. A read changes nothing: where it failed, nothing was
returned, except that a stream may have given rows before.
`

const escape = (text: string): string => text.replaceAll('|', '\\|')

const sectionOf = (
  { name, code, text, tags, properties, base }: ErrorClass,
  all: readonly ErrorClass[],
): string => {
  const inherited = all.find((each) => each.name === base)?.properties ?? []
  const rows = [...inherited, ...properties].map(
    (property) =>
      `| \`${property.name}\` | \`${escape(property.type)}\` | ${escape(property.text)} |`,
  )
  const facts = Object.entries(TAGS).map(([tag, title]) => `- **${title}** ${tags[tag as Tag]}`)
  return [
    `## ${name}`,
    `\`${code}\`. ${text}`,
    facts.join('\n'),
    ...(rows.length === 0
      ? []
      : [['| property | type | |', '| --- | --- | --- |', ...rows].join('\n')]),
  ].join('\n\n')
}

/** The whole page, formatted. */
export const errorPage = async (classes: readonly ErrorClass[]): Promise<string> => {
  const raised = classes.filter(({ code }) => code !== undefined)
  const path = join(ROOT, 'docs/errors.md')
  const rows = raised.map(
    ({ name, code, tags }) =>
      `| [\`${name}\`](#${name.toLowerCase()}) | \`${code}\` | ${escape(tags.outcome ?? '')} |`,
  )
  const table = ['| class | code | what happened |', '| --- | --- | --- |', ...rows].join('\n')
  const text = [INTRODUCTION, table, ...raised.map((each) => sectionOf(each, classes))].join('\n\n')
  return format(text, { ...(await resolveConfig(path)), filepath: path })
}
