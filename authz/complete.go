package authz

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"path"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/procura/procura/internal/authreq"
	"github.com/procura/procura/internal/engine"
	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/obs"
	"github.com/procura/procura/internal/wire"
)

var (
	errOtherBrowser = &fapi.Error{Code: "access_denied", Status: http.StatusForbidden,
		Description: "this link belongs to another browser or has ended; start again at the application you came from"}
	errEnded = fapi.InvalidRequest("this request has already been answered or has expired; start again at the application you came from")
)

// errNoAccount: the customer agreed but ticked no account; they are asked again.
var errNoAccount = errors.New("no account was chosen")

// LoginDone serves the way back from the bank's login application.
func (s *Service) LoginDone(w http.ResponseWriter, r *http.Request) {
	params, err := wire.ParseQuery(r.URL.RawQuery)
	if err != nil {
		s.fail(w, r, nil, err)
		return
	}
	answer, err := s.deps.Login.Answer(r.Context(), fapi.Secret(params.Get("login_response")))
	if err != nil {
		s.fail(w, r, nil, err)
		return
	}
	o, i, err := s.resume(r, answer.Interaction, fapi.InteractionOpened)
	if err != nil {
		s.fail(w, r, nil, err)
		return
	}
	cookie, err := s.loggedIn(r.Context(), o, i, answer)
	if err != nil {
		s.end(w, r, o, i, err)
		return
	}
	setCookie(w, cookie)
	seeOther(w, s.cfg.Issuer.At(fapi.PathConsent)+"/"+i.ID)
}

// loggedIn records the login once and returns the cookie that replaces the
// browser's: what was known before the login is worth nothing after it (attack 72).
func (s *Service) loggedIn(ctx context.Context, o *open, i *fapi.Interaction, a *LoginAnswer) (fapi.Secret, error) {
	if a.Refused {
		return "", refuse(o.request, fapi.AccessDenied("the customer did not log in"))
	}
	if err := s.judgeLogin(o, i, a.Login); err != nil {
		return "", err
	}
	cookie, err := fapi.NewSecret(s.deps.Rand, 32)
	if err != nil {
		return "", err
	}
	err = s.deps.Store.RecordLogin(ctx, fapi.LoginRecord{Issuer: s.cfg.Issuer.URL, Interaction: i.ID, Login: a.Login,
		OldCookie: i.CookieDigest, NewCookie: cookie.Digest(), Now: s.deps.Now()})
	if errors.Is(err, fapi.ErrConflict) { // a login answer is used once
		return "", errEnded
	}
	return cookie, err
}

// resume reads an interaction of this browser that is in the wanted state.
func (s *Service) resume(r *http.Request, id, state string) (*open, *fapi.Interaction, error) {
	i, err := s.deps.Store.ReadInteraction(r.Context(), s.cfg.Issuer.URL, id)
	if errors.Is(err, fapi.ErrNotFound) {
		return nil, nil, errOtherBrowser
	}
	if err != nil {
		return nil, nil, err
	}
	if _, same := sameBrowser(r, i); !same {
		return nil, nil, errOtherBrowser
	}
	if i.State != state || !s.deps.Now().Before(i.ExpiresAt) {
		return nil, nil, errEnded
	}
	client, err := s.deps.Clients.Find(r.Context(), i.ClientID)
	if errors.Is(err, fapi.ErrNotFound) {
		return nil, nil, errEnded.Because(err)
	}
	if err != nil {
		return nil, nil, err
	}
	obs.From(r.Context()).Set("client_id", i.ClientID)
	return &open{client: client, request: &i.Request, pushed: i.PushedDigest}, i, nil
}

// ShowConsent serves GET /consent/{interaction}.
func (s *Service) ShowConsent(w http.ResponseWriter, r *http.Request) {
	o, i, err := s.resume(r, path.Base(r.URL.Path), fapi.InteractionLoggedIn)
	if err != nil {
		s.fail(w, r, nil, err)
		return
	}
	s.ask(w, r, o, i, "")
}

// ask shows the consent page; problem says why it is shown again.
func (s *Service) ask(w http.ResponseWriter, r *http.Request, o *open, i *fapi.Interaction, problem string) {
	consent, err := s.consentOf(r.Context(), o)
	if err != nil {
		s.end(w, r, o, i, err)
		return
	}
	view := fapi.ConsentView{
		Action: s.cfg.Issuer.At(fapi.PathConsent) + "/" + i.ID, Token: s.formToken(i),
		ClientName: displayName(o.client.Client), Scopes: o.request.Scope, Problem: problem,
	}
	if consent != nil {
		view.Permissions, view.Accounts = consent.Permissions, i.Login.Accounts
		if !consent.ExpiresAt.IsZero() {
			view.ExpiresAt = consent.ExpiresAt.UTC().Format(time.RFC3339)
		}
	}
	if len(o.request.UILocales) > 0 {
		view.Locale = o.request.UILocales[0]
	}
	s.deps.Pages.Consent(w, r, view)
}

// consentOf reads the intent again: it may have ended while the customer logged in.
func (s *Service) consentOf(ctx context.Context, o *open) (*fapi.Consent, error) {
	if o.request.ConsentID == "" {
		return nil, nil
	}
	if err := s.decidable(ctx, o); err != nil {
		return nil, err
	}
	return s.deps.Store.ReadConsent(ctx, s.cfg.Issuer.URL, o.request.ConsentID)
}

// formToken ties a posted decision to the page that asked for it (attack 71): only
// the browser that holds the cookie is shown it, and nobody else can compute it.
func (s *Service) formToken(i *fapi.Interaction) string {
	mac := hmac.New(sha256.New, s.cfg.FormKey)
	mac.Write([]byte("consent\x00" + i.ID))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// DecideConsent serves POST /consent/{interaction}.
func (s *Service) DecideConsent(w http.ResponseWriter, r *http.Request) {
	o, i, err := s.resume(r, path.Base(r.URL.Path), fapi.InteractionLoggedIn)
	if err != nil {
		s.fail(w, r, nil, err)
		return
	}
	decision, err := readDecision(r)
	if err != nil {
		s.fail(w, r, nil, err)
		return
	}
	if !hmac.Equal([]byte(decision.token), []byte(s.formToken(i))) {
		s.fail(w, r, nil, errOtherBrowser)
		return
	}
	if !decision.approved {
		s.end(w, r, o, i, refuse(o.request, fapi.AccessDenied("the customer refused")))
		return
	}
	err = s.complete(w, r, o, i, decision.accounts)
	switch {
	case errors.Is(err, errNoAccount):
		s.ask(w, r, o, i, "no_account")
	case err != nil:
		s.end(w, r, o, i, err)
	}
}

// end answers with an error and, when the client is told, ends the interaction:
// the pushed request is spent and an intent still awaiting is rejected.
func (s *Service) end(w http.ResponseWriter, r *http.Request, o *open, i *fapi.Interaction, err error) {
	var refusal *authreq.Refusal
	if errors.As(err, &refusal) {
		spent := s.deps.Store.RefuseInteraction(r.Context(), fapi.Refusal{
			Issuer: s.cfg.Issuer.URL, Interaction: i.ID, PushedDigest: o.pushed, ConsentID: o.request.ConsentID,
			ClientID: o.client.ID, Reason: fapi.Outward(err).Code, Now: s.deps.Now(),
		})
		if errors.Is(spent, fapi.ErrSpent) {
			err = errEnded.Because(err)
		} else if spent != nil {
			err = spent
		}
	}
	s.fail(w, r, o.client, err)
}

// complete issues the code and stores everything in one statement; the answer
// goes out only when it is durable.
func (s *Service) complete(w http.ResponseWriter, r *http.Request, o *open, i *fapi.Interaction, chosen []string) error {
	ctx, now := r.Context(), s.deps.Now()
	grant, err := s.grant(ctx, o, i, chosen)
	if err != nil {
		return err
	}
	keys, err := o.client.EncryptionKeys(ctx)
	if err != nil {
		return err
	}
	rules := o.client.Rules
	idToken := engine.IDTokenFor(&grant, o.request.Nonce, now, rules.IDTokenLife, false)
	idToken.State = o.request.State
	issued, err := s.deps.Engine.IssueCode(ctx, engine.CodeIssue{
		Client: o.client.Client, Keys: keys, Request: o.request, Grant: grant, IDToken: idToken,
		Life: rules.CodeLife, Keep: rules.AccessLife,
	})
	if err != nil {
		return err
	}
	err = s.deps.Store.CompleteAuthorization(ctx, fapi.Completion{
		Interaction: i.ID, PushedDigest: o.pushed, Grant: grant, Code: issued.Row, Now: now})
	switch {
	case errors.Is(err, fapi.ErrSpent): // another tab was faster: the request_uri works once
		return fapi.InvalidRequestURI("this request has already been answered").Because(err)
	case errors.Is(err, fapi.ErrConflict):
		return refuse(o.request, fapi.AccessDenied("the consent cannot be authorised any more").Because(err))
	case err != nil:
		return err
	}
	obs.From(ctx).Set("grant_id", grant.ID)
	s.answer(w, r, o.client, authreq.Return{RedirectURI: o.request.RedirectURI, Mode: o.request.ResponseMode},
		success(o.request, issued))
	return nil
}

func success(r *fapi.AuthorizationRequest, issued *engine.IssuedCode) map[string]string {
	params := map[string]string{"code": issued.Code.Reveal()}
	if issued.IDToken != "" {
		params["id_token"] = issued.IDToken.Reveal()
	}
	if r.State != "" {
		params["state"] = r.State
	}
	return params
}

// grant puts together what the customer gives.
func (s *Service) grant(ctx context.Context, o *open, i *fapi.Interaction, chosen []string) (fapi.Grant, error) {
	consent, err := s.consentOf(ctx, o)
	if err != nil {
		return fapi.Grant{}, err
	}
	id, err := uuid.NewRandomFromReader(s.deps.Rand)
	if err != nil {
		return fapi.Grant{}, err
	}
	now := s.deps.Now()
	g := fapi.Grant{
		ID: id.String(), Issuer: s.cfg.Issuer.URL, ClientID: o.client.ID, ConsentID: o.request.ConsentID,
		Customer: i.Login.Customer, Subject: s.deps.Subject(o.client.Sector(), i.Login.Customer),
		Scope: o.request.Scope, Claims: o.request.Claims, ACR: i.Login.ACR, AMR: i.Login.AMR,
		AuthTime: i.Login.AuthTime, Profile: i.Login.Claims, CreatedAt: now,
	}
	if life := o.client.Rules.RefreshLife; life > 0 {
		g.ExpiresAt = now.Add(life)
	}
	if consent == nil {
		return g, nil
	}
	g.Accounts = ownAccounts(i.Login.Accounts, chosen)
	if len(g.Accounts) == 0 {
		return g, errNoAccount
	}
	if !consent.ExpiresAt.IsZero() && (g.ExpiresAt.IsZero() || consent.ExpiresAt.Before(g.ExpiresAt)) {
		g.ExpiresAt = consent.ExpiresAt
	}
	return g, nil
}

// ownAccounts keeps those of the chosen ids that the bank named for this customer.
func ownAccounts(own []fapi.Account, chosen []string) (ids []string) {
	for _, a := range own {
		if slices.Contains(chosen, a.ID) {
			ids = append(ids, a.ID)
		}
	}
	return ids
}
