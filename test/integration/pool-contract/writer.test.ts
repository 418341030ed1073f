import { contractSuite } from './suite.ts'

contractSuite('writer')
