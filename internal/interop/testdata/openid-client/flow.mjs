// The whole life of a grant, as an application lives it.
import * as client from 'openid-client'
import { ask, call, lodge, openTPP, redeem, scope } from './tpp.mjs'

/** flow takes one client through authorization, use, refresh and revocation. */
export async function flow({ dir, id, way, response, customer, expect }) {
  const tpp = await openTPP(dir, id, { response })
  const consent = await lodge(tpp)
  const { url, checks } = await ask(tpp, { way, consent })
  expect.equal('parameters outside of the request object', [...url.searchParams.keys()].sort(),
    ['client_id', way === 'pushed' ? 'request_uri' : 'request'])
  const tokens = await redeem(tpp, await customer(url, 'submit_button'), checks)
  const claims = tokens.claims()
  expect.equal('intent in the id token', claims.openbanking_intent_id, consent)
  expect.equal('scope', tokens.scope.split(' ').sort(), scope.split(' ').sort())
  await use(tpp, tokens.access_token, claims.sub, expect)
  const latest = await renew(tpp, tokens, claims.sub, expect)
  await introspect(tpp, latest.access_token, expect)
  await end(tpp, latest, claims.sub, expect)
  tpp.close()
}

async function use(tpp, access, sub, expect) {
  const accounts = await call(tpp, access, 'GET', '/accounts')
  expect.equal('status of the accounts', accounts.status, 200)
  expect.equal('one account or more', (await accounts.json()).Data.Account.length > 0, true)
  const info = await client.fetchUserInfo(tpp.config, access, sub)
  expect.equal('sub of userinfo', info.sub, sub)
}

async function renew(tpp, { access_token, refresh_token }, sub, expect) {
  let latest
  for (const parameters of [undefined, { scope }, { scope: 'openid accounts' }]) {
    latest = await client.refreshTokenGrant(tpp.config, refresh_token, parameters)
    expect.equal('another access token', latest.access_token !== access_token, true)
    expect.equal('the refresh token stays', latest.refresh_token ?? refresh_token, refresh_token)
    if (latest.id_token) expect.equal('sub of the refreshed id token', latest.claims().sub, sub)
    expect.equal('status with the new token', (await call(tpp, latest.access_token, 'GET', '/accounts')).status, 200)
  }
  await expect.refused('a wider scope than granted', 'invalid_scope',
    () => client.refreshTokenGrant(tpp.config, refresh_token, { scope: scope + ' payments' }))
  return { access_token: latest.access_token, refresh_token }
}

async function introspect(tpp, access, expect) {
  const told = await client.tokenIntrospection(tpp.config, access)
  expect.equal('introspection of the own token', [told.active, told.client_id], [true, tpp.me.client_id])
  expect.equal('binding that introspection shows', told.cnf, { 'x5t#S256': tpp.thumbprint })
}

async function end(tpp, { access_token, refresh_token }, sub, expect) {
  await client.tokenRevocation(tpp.config, refresh_token)
  await client.tokenRevocation(tpp.config, refresh_token, { token_type_hint: 'access_token' })
  await expect.refused('refresh after revocation', 'invalid_grant', () => client.refreshTokenGrant(tpp.config, refresh_token))
  await expect.refused('userinfo after revocation', 'invalid_token', () => client.fetchUserInfo(tpp.config, access_token, sub))
  expect.equal('introspection after revocation', (await client.tokenIntrospection(tpp.config, access_token)).active, false)
}
