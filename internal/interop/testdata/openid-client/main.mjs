// One scenario in one process. The test writes a line of JSON that says which;
// when a customer is needed a line {"open": url, "press": button} goes out and the
// address that the customer landed on comes back as a line. At the end comes
// {"checks": n, "failures": [...]}.
import { createInterface } from 'node:readline'
import { deepStrictEqual } from 'node:assert'
import { flow } from './flow.mjs'
import { refusals } from './refusals.mjs'

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const next = async () => JSON.parse((await lines.next()).value)
const say = (message) => process.stdout.write(JSON.stringify(message) + '\n')

class Expect {
  checks = 0
  failures = []

  note(ok, text) {
    this.checks++
    if (!ok) this.failures.push(text)
  }

  equal(what, got, want) {
    let same = true
    try { deepStrictEqual(got, want) } catch { same = false }
    this.note(same, `${what}: got ${JSON.stringify(got)}, want ${JSON.stringify(want)}`)
  }

  // refused wants an OAuth error that the library could read.
  async refused(what, codes, act) {
    const error = await caught(act)
    const got = error?.error ?? error?.cause?.[0]?.parameters?.error ?? error?.code
    this.note([codes].flat().includes(got), `${what}: got ${describe(error)} (${got}), want ${codes}`)
  }

  // thrown wants the library itself to refuse, without an answer of the server.
  async thrown(what, act) {
    const error = await caught(act)
    this.note(error?.code?.startsWith('OAUTH_') && !error.error, `${what}: got ${describe(error)}, want the library to refuse`)
  }
}

const caught = (act) => Promise.resolve().then(act).then(() => undefined, (error) => error)
const describe = (error) => error ? `${error.name} ${error.code ?? ''} ${error.message}${error.cause ? ` <- ${error.cause.message ?? ''}` : ''}` : 'success'

async function customer(url, press) {
  say({ open: String(url), press })
  const { landed } = await next()
  return landed
}

const expect = new Expect()
const scenario = await next()
const act = scenario.name === 'flow' ? flow : refusals[scenario.name]
try {
  await act({ ...scenario, customer, expect })
} catch (error) {
  expect.note(false, `${scenario.name}: ${describe(error)}\n${error.stack}`)
}
say({ checks: expect.checks, failures: expect.failures })
process.exit(0)
