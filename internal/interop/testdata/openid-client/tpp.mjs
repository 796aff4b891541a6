// A third party provider made of openid-client with every validation it offers.
import { readFileSync } from 'node:fs'
import { createHash, randomUUID, X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import * as client from 'openid-client'
import { mtlsFetch } from './transport.mjs'

export const scope = 'openid accounts offline_access'
const api = '/open-banking/v3.1/aisp'

/** openTPP reads what sandbox.json says of a client and does discovery as that client. */
export async function openTPP(dir, id, { response, certificate = id, key = id } = {}) {
  const world = JSON.parse(readFileSync(join(dir, 'sandbox.json')))
  const read = (name) => readFileSync(join(dir, name))
  const find = (name) => world.clients.find((c) => c.client_id === name)
  const me = find(id)
  const owner = find(certificate)
  const { fetch, close } = mtlsFetch({
    ca: read(world.ca_file),
    cert: owner && read(owner.cert_file),
    key: owner && read(owner.key_file),
  })
  const signing = await importKey(JSON.parse(read(find(key).signing_key_file)))
  const auth = me.token_endpoint_auth_method === 'tls_client_auth' ? client.TlsClientAuth() : client.PrivateKeyJwt(signing)
  const config = await client.discovery(new URL(world.issuer), id, {
    use_mtls_endpoint_aliases: true,
    id_token_signed_response_alg: undefined,
  }, auth, { [client.customFetch]: fetch, execute: validations(response) })
  const thumbprint = owner && createHash('sha256').update(new X509Certificate(read(owner.cert_file)).raw).digest('base64url')
  return { world, me, config, signing, thumbprint, close, redirect: me.redirect_uris[0] }
}

// validations switches on what the library checks only when asked: the response
// type, the detached signature (s_hash, c_hash, at_hash) and the signatures of id
// tokens that came over TLS.
function validations(response) {
  const front = response === 'hybrid'
    ? [client.useCodeIdTokenResponseType, client.enableDetachedSignatureResponseChecks]
    : [client.useJwtResponseMode]
  return [...front, client.enableNonRepudiationChecks]
}

async function importKey(jwk) {
  const algorithm = {
    PS256: { name: 'RSA-PSS', hash: 'SHA-256' },
    ES256: { name: 'ECDSA', namedCurve: 'P-256' },
  }[jwk.alg]
  const { use, key_ops, ...material } = jwk
  return { key: await crypto.subtle.importKey('jwk', material, algorithm, false, ['sign']), kid: jwk.kid }
}

/** lodge creates an account-access consent with the application's own token. */
export async function lodge(tpp) {
  const own = await client.clientCredentialsGrant(tpp.config, { scope: 'accounts' })
  const body = JSON.stringify({ Data: { Permissions: ['ReadAccountsBasic', 'ReadAccountsDetail'] }, Risk: {} })
  const answer = await call(tpp, own.access_token, 'POST', '/account-access-consents', body)
  if (answer.status !== 201) throw new Error(`lodging a consent: status ${answer.status}`)
  return (await answer.json()).Data.ConsentId
}

/** call asks the bank's API through the gateway. */
export function call(tpp, token, method, path, body) {
  const headers = new Headers({ accept: 'application/json', 'x-fapi-interaction-id': randomUUID() })
  if (body) headers.set('content-type', 'application/json')
  return client.fetchProtectedResource(tpp.config, token, new URL(tpp.world.resource_base + api + path), method, body, headers)
}

/**
 * ask builds the address that the customer's browser opens, and what the library
 * has to be told to check the answer.
 */
export async function ask(tpp, { way, consent, change = {} }) {
  const verifier = client.randomPKCECodeVerifier()
  const checks = { pkceCodeVerifier: verifier, expectedState: client.randomState(), expectedNonce: client.randomNonce(), idTokenExpected: true }
  const parameters = {
    redirect_uri: tpp.redirect, scope, state: checks.expectedState, nonce: checks.expectedNonce,
    code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
    claims: JSON.stringify({ id_token: {
      openbanking_intent_id: { value: consent, essential: true },
      acr: { values: ['urn:openbanking:psd2:sca', 'urn:openbanking:psd2:ca'], essential: true },
    } }),
    ...change,
  }
  let url = await client.buildAuthorizationUrlWithJAR(tpp.config, parameters, tpp.signing)
  if (way === 'pushed') {
    url = await client.buildAuthorizationUrlWithPAR(tpp.config, { request: url.searchParams.get('request') })
  }
  return { url, checks }
}

/** redeem checks the authorization response and turns its code into tokens. */
export const redeem = (tpp, landed, checks, extra) => client.authorizationCodeGrant(tpp.config, new URL(landed), { ...checks }, extra)
