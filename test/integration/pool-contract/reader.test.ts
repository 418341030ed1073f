import { contractSuite } from './suite.ts'

contractSuite('reader')
