package blackbox_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/procura/procura/internal/fapi"
)

const allScopes = "openid accounts offline_access"

// plan is one combination of the suite's FAPI 1 Advanced plan: how clients
// authenticate, how the request object comes, how the answer comes.
type plan struct{ mtls, pushed, jarm bool }

// plans are the eight combinations that are certified.
func plans() []plan {
	var all []plan
	for n := range 8 {
		all = append(all, plan{mtls: n&4 > 0, pushed: n&2 > 0, jarm: n&1 > 0})
	}
	return all
}

func (p plan) name() string {
	pick := func(yes bool, this, that string) string {
		if yes {
			return this
		}
		return that
	}
	return pick(p.mtls, "mtls", "pkj") + "-" + pick(p.pushed, "pushed", "value") + "-" + pick(p.jarm, "jarm", "plain")
}

func (p plan) method() string {
	if p.mtls {
		return fapi.AuthTLSClient
	}
	return fapi.AuthPrivateKeyJWT
}

// register narrows a client to what its plan uses.
func (p plan) register(_ *party, record map[string]any) {
	record["response_types"] = []string{"code id_token"}
	if p.jarm {
		record["response_types"] = []string{"code"}
	}
}

// parties returns the plan's two clients.
func (p plan) parties(t testing.TB) (one, two *party) {
	t.Helper()
	return who(t, p.name()+"-1"), who(t, p.name()+"-2")
}

// refused is how the plan is told of an error that is found in the request: by the
// push, or where the answer would have gone.
func (p plan) refused(code string) string {
	if p.pushed {
		return "par 400 " + code
	}
	return p.front(code)
}

// distrusted is the same for an object that cannot be believed: its state is not
// used. What the client registered says whether the answer is a JWT.
func (p plan) distrusted(code string) string {
	if p.pushed {
		return "par 400 " + code
	}
	return p.front(code) + " without state"
}

// lost is how the plan is told when there is nowhere to send the answer.
func (p plan) lost(code string) string {
	if p.pushed {
		return "par 400 " + code
	}
	return "page 400 " + code
}

// front is an answer from the authorization endpoint itself.
func (p plan) front(what string) string {
	if p.jarm {
		return "jarm " + what
	}
	return "fragment " + what
}

// success is the answer that holds a code.
func (p plan) success() string {
	if p.jarm {
		return "jarm code"
	}
	return "fragment code id_token"
}

// request is an authorization request before it is sent; tests change it.
type request struct {
	plan     plan
	by       *party
	claims   map[string]any
	head     map[string]any
	sign     func([]byte) ([]byte, error)
	object   string     // wins over claims: the object as it is sent; "-" sends none
	outer    url.Values // beside the object or its reference at /authorize
	push     url.Values // beside the object in the push
	verifier string
}

// request makes a good request, as the suite's first or second client does.
func (p plan) request(t testing.TB, by *party) *request {
	t.Helper()
	now := time.Now().Unix()
	r := &request{plan: p, by: by, head: by.header(nil), sign: by.signer.SignBytes, claims: map[string]any{
		"iss": by.id, "aud": house.Issuer, "client_id": by.id, "nbf": now, "exp": now + 300,
		"redirect_uri": by.redirect, "scope": allScopes, "response_type": "code id_token",
		"state": rand.Text()[:10], "nonce": rand.Text()[:10],
	}}
	if by.spec.query { // the second client says more, and says it differently
		r.claims["iat"] = now
		r.claims["state"] = "-._~" + strings.Repeat(rand.Text(), 5)[:124]
		r.claims["nonce"] = (rand.Text() + rand.Text())[:43]
		r.head["typ"] = "oAuth-Authz-Req+JWT"
	}
	if p.jarm {
		r.claims["response_type"], r.claims["response_mode"] = "code", "jwt"
	}
	if p.pushed {
		r.pkce()
	}
	r.outer = url.Values{"response_type": {r.text("response_type")}, "scope": {allScopes}, "redirect_uri": {by.redirect}}
	return r
}

// pkce adds an S256 challenge.
func (r *request) pkce() { r.challenge(rand.Text() + rand.Text()) }

func (r *request) challenge(verifier string) {
	r.verifier = verifier
	digest := sha256.Sum256([]byte(r.verifier))
	r.claims["code_challenge"] = base64.RawURLEncoding.EncodeToString(digest[:])
	r.claims["code_challenge_method"] = "S256"
}

func (r *request) text(name string) string {
	s, _ := r.claims[name].(string)
	return s
}

// set changes claims of the object; nil leaves one out.
func (r *request) set(more map[string]any) *request {
	r.claims = with(r.claims, more)
	return r
}

// carrier is the form member that brings the object.
func (r *request) carrier(t testing.TB) url.Values {
	t.Helper()
	switch r.object {
	case "-":
		return url.Values{}
	case "":
		return url.Values{"request": {jws(t, r.head, r.claims, r.sign)}}
	}
	return url.Values{"request": {r.object}}
}

// parURL is where the plan's clients push: over mutual TLS only when that is how
// they authenticate.
func (p plan) parURL() string {
	if p.mtls {
		return house.meta.Aliases.PAR
	}
	return house.meta.PAR
}

// pushIt pushes the request, authenticated as its client.
func (r *request) pushIt(t testing.TB) *reply {
	t.Helper()
	client := house.front
	if r.plan.mtls {
		client = r.by.back
	}
	return post(t, client, r.plan.parURL(), merged(r.by.identify(t, house.Issuer), r.carrier(t), r.push))
}

// entry is the address that the customer's browser opens, or the outcome of a push
// that was refused.
func (r *request) entry(t testing.TB) (string, *outcome) {
	t.Helper()
	query := merged(url.Values{"client_id": {r.by.id}}, r.outer)
	if r.plan.pushed {
		a := r.pushIt(t)
		if a.status != 201 {
			return "", &outcome{where: "par", what: a.String()}
		}
		query.Set("request_uri", a.text("request_uri"))
	} else {
		query = merged(query, r.carrier(t))
	}
	return house.meta.Authorize + "?" + query.Encode(), nil
}

// send sends the request and takes the customer through it; they agree.
func (r *request) send(t testing.TB) *outcome {
	t.Helper()
	return r.sendTo(t, agree)
}

func (r *request) sendTo(t testing.TB, c customer) *outcome {
	t.Helper()
	address, refused := r.entry(t)
	if refused != nil {
		return refused
	}
	return r.open(t, address, c)
}
