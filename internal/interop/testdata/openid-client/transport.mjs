// How the client reaches the sandbox: node's own https with the sandbox's CA and
// the client's certificate, shaped as the fetch function that openid-client takes.
import https from 'node:https'

/** mtlsFetch makes a fetch that presents a certificate; without one it presents none. */
export function mtlsFetch({ ca, cert, key }) {
  const agent = new https.Agent({ ca, cert, key, keepAlive: true })
  const fetch = (address, options = {}) => new Promise((resolve, reject) => {
    const { method = 'GET', signal } = options
    const headers = new Headers(options.headers)
    const body = options.body == null ? undefined : Buffer.from(String(options.body))
    if (options.body instanceof URLSearchParams && !headers.has('content-type')) {
      headers.set('content-type', 'application/x-www-form-urlencoded;charset=UTF-8')
    }
    if (body) headers.set('content-length', String(body.length))
    const request = https.request(address, { agent, method, signal, headers: Object.fromEntries(headers) })
    request.on('error', reject)
    request.on('response', (message) => answer(message).then(resolve, reject))
    request.end(body)
  })
  return { fetch, close: () => agent.destroy() }
}

async function answer(message) {
  const chunks = []
  for await (const chunk of message) chunks.push(chunk)
  const headers = new Headers()
  for (let i = 0; i < message.rawHeaders.length; i += 2) {
    headers.append(message.rawHeaders[i], message.rawHeaders[i + 1])
  }
  const empty = message.statusCode === 204 || message.statusCode === 304
  return new Response(empty ? null : Buffer.concat(chunks), { status: message.statusCode, headers })
}
