package authz

import (
	"crypto/subtle"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/obs"
	"github.com/procura/procura/internal/wire"
)

// cookieName binds interactions to one browser. The __Host- prefix keeps other
// hosts and paths from planting one (attack 72); SameSite=Lax still sends it
// when the bank's login application, on whatever site, sends the customer back.
const cookieName = "__Host-procura"

// Authorize serves GET and POST /authorize (OIDC Core §3.1.2.1).
func (s *Service) Authorize(w http.ResponseWriter, r *http.Request) {
	params, err := wire.ParseFront(r)
	if err != nil {
		s.fail(w, r, nil, err)
		return
	}
	obs.From(r.Context()).Set("client_id", params.Get("client_id"))
	o, err := s.read(r.Context(), params)
	if err != nil {
		client, _ := s.deps.Clients.Find(r.Context(), params.Get("client_id")) // nil when it is what failed
		s.fail(w, r, client, err)
		return
	}
	if err := s.feasible(r.Context(), o); err != nil {
		s.fail(w, r, o.client, err)
		return
	}
	if err := s.begin(w, r, o); err != nil {
		s.fail(w, r, o.client, err)
	}
}

// begin opens an interaction and hands the customer over to the bank's login.
func (s *Service) begin(w http.ResponseWriter, r *http.Request, o *open) error {
	cookie, err := s.browser(r)
	if err != nil {
		return err
	}
	id, err := uuid.NewRandomFromReader(s.deps.Rand)
	if err != nil {
		return err
	}
	now := s.deps.Now()
	interaction := fapi.Interaction{
		ID: id.String(), Issuer: s.cfg.Issuer.URL, ClientID: o.client.ID, Request: *o.request,
		PushedDigest: o.pushed, CookieDigest: cookie.Digest(), State: fapi.InteractionOpened,
		CreatedAt: now, ExpiresAt: now.Add(fapi.InteractionLife),
	}
	if err := s.deps.Store.InsertInteraction(r.Context(), interaction); err != nil {
		return err
	}
	location, err := s.deps.Login.Challenge(s.challenge(&interaction, o))
	if err != nil {
		return err
	}
	setCookie(w, cookie)
	seeOther(w, location)
	return nil
}

func (s *Service) challenge(i *fapi.Interaction, o *open) fapi.LoginChallenge {
	return fapi.LoginChallenge{
		Interaction: i.ID, ClientName: displayName(o.client.Client), ACRValues: preferredACR(o.request),
		ForceLogin: o.request.HasPrompt("login") || o.request.HasPrompt("select_account"),
		MaxAge:     o.request.MaxAge, LoginHint: o.request.LoginHint, UILocales: o.request.UILocales,
		ReturnTo: s.cfg.Issuer.At(fapi.PathLoginDone),
	}
}

func displayName(c *fapi.Client) string {
	if c.Name != "" {
		return c.Name
	}
	return c.ID
}

func setCookie(w http.ResponseWriter, cookie fapi.Secret) {
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: cookie.Reveal(), Path: "/", Secure: true,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: int((24 * time.Hour).Seconds())})
}

// browser returns the cookie that this browser already has, so that several tabs
// work side by side, or a new one.
func (s *Service) browser(r *http.Request) (fapi.Secret, error) {
	if c, err := r.Cookie(cookieName); err == nil && len(c.Value) == 43 {
		return fapi.Secret(c.Value), nil
	}
	return fapi.NewSecret(s.deps.Rand, 32)
}

// sameBrowser reports whether the request comes from the browser that opened the
// interaction (attack 73).
func sameBrowser(r *http.Request, i *fapi.Interaction) (fapi.Secret, bool) {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return "", false
	}
	digest := fapi.Secret(c.Value).Digest()
	return fapi.Secret(c.Value), subtle.ConstantTimeCompare(digest[:], i.CookieDigest[:]) == 1
}
