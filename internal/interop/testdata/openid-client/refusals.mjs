// What must fail, and how the library sees it fail: with an OAuth error that it
// could read, or because the library itself refuses the answer.
import * as client from 'openid-client'
import { ask, call, lodge, openTPP, redeem } from './tpp.mjs'

const agree = 'submit_button'

/** refusals maps the name of a scenario to what is done in it. */
export const refusals = {
  async cancel({ dir, id, way, response, customer, expect }) {
    const tpp = await openTPP(dir, id, { response })
    const { url, checks } = await ask(tpp, { way, consent: await lodge(tpp) })
    const landed = await customer(url, 'cancel_button')
    await expect.refused('a customer who cancels', 'access_denied', () => redeem(tpp, landed, checks))
  },

  // The library's own validation is on: what it was not told to expect it refuses.
  async validation({ dir, id, way, response, customer, expect }) {
    const tpp = await openTPP(dir, id, { response })
    const { url, checks } = await ask(tpp, { way, consent: await lodge(tpp) })
    const landed = await customer(url, agree)
    await expect.thrown('another state', () => redeem(tpp, landed, { ...checks, expectedState: 'another' }))
    if (response === 'hybrid') {
      await expect.thrown('another nonce', () => redeem(tpp, landed, { ...checks, expectedNonce: 'another' }))
      const forged = new URL(landed)
      const answer = new URLSearchParams(forged.hash.slice(1))
      answer.set('code', answer.get('code').slice(1) + 'A')
      forged.hash = answer
      await expect.thrown('another code (c_hash)', () => redeem(tpp, forged, checks))
    }
    expect.equal('the untouched answer', typeof (await redeem(tpp, landed, checks)).access_token, 'string')
  },

  async code({ dir, id, way, response, customer, expect }) {
    const tpp = await openTPP(dir, id, { response })
    const { url, checks } = await ask(tpp, { way, consent: await lodge(tpp) })
    const landed = await customer(url, agree)
    const pkceCodeVerifier = client.randomPKCECodeVerifier()
    await expect.refused('another code_verifier', 'invalid_grant', () => redeem(tpp, landed, { ...checks, pkceCodeVerifier }))
  },

  async replay({ dir, id, way, response, customer, expect }) {
    const tpp = await openTPP(dir, id, { response })
    const { url, checks } = await ask(tpp, { way, consent: await lodge(tpp) })
    const landed = await customer(url, agree)
    const tokens = await redeem(tpp, landed, checks)
    await expect.refused('the code again', 'invalid_grant', () => redeem(tpp, landed, checks))
    await expect.refused('what the first use issued', 'invalid_grant',
      () => client.refreshTokenGrant(tpp.config, tokens.refresh_token))
  },

  async theft({ dir, id, way, response, customer, expect }) {
    const tpp = await openTPP(dir, id, { response })
    const thief = await openTPP(dir, 'tpp-pkj-2', { response })
    const { url, checks } = await ask(tpp, { way, consent: await lodge(tpp) })
    const tokens = await redeem(tpp, await customer(url, agree), checks)
    await expect.refused('access token with another certificate', 'invalid_token',
      () => call(thief, tokens.access_token, 'GET', '/accounts'))
    await expect.refused('userinfo with another certificate', 'invalid_token',
      () => client.fetchUserInfo(thief.config, tokens.access_token, tokens.claims().sub))
    await expect.refused("another client's refresh token", 'invalid_grant',
      () => client.refreshTokenGrant(thief.config, tokens.refresh_token))
    expect.equal('introspection by another client', (await client.tokenIntrospection(thief.config, tokens.access_token)).active, false)
    await client.tokenRevocation(thief.config, tokens.refresh_token).catch(() => {})
    expect.equal('its owner goes on', typeof (await client.refreshTokenGrant(tpp.config, tokens.refresh_token)).access_token, 'string')
    thief.close()
  },

  async identity({ dir, id, response, expect }) {
    const other = id === 'tpp-pkj-1' ? 'tpp-mtls-1' : 'tpp-pkj-1'
    const mtls = id.includes('mtls')
    const wrong = await openTPP(dir, id, { response, certificate: mtls ? other : id, key: mtls ? id : other })
    await expect.refused('a client who is somebody else', 'invalid_client', () => client.clientCredentialsGrant(wrong.config, { scope: 'accounts' }))
    await expect.refused('the same at PAR', 'invalid_client', () => ask(wrong, { way: 'pushed', consent: 'none' }))
    wrong.close()
  },

  async request({ dir, id, response, expect }) {
    const tpp = await openTPP(dir, id, { response })
    const consent = await lodge(tpp)
    const push = (change) => () => ask(tpp, { way: 'pushed', consent, change })
    await expect.refused('a redirect URI of somebody else', ['invalid_request', 'invalid_request_object', 'invalid_redirect_uri'],
      push({ redirect_uri: 'https://attacker.example/' }))
    await expect.refused('a scope that is not registered', 'invalid_scope', push({ scope: 'openid payments' }))
    await expect.refused('PKCE without hashing', ['invalid_request', 'invalid_request_object'], push({ code_challenge_method: 'plain' }))
    await expect.refused('parameters that nobody signed', ['invalid_request', 'invalid_request_object'],
      () => client.buildAuthorizationUrlWithPAR(tpp.config, { redirect_uri: tpp.redirect, scope: 'openid' }))
    tpp.close()
  },
}
