package authz

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/procura/procura/internal/fapi"
)

// feasible checks what only /authorize can decide: whose intent it is and
// whether the bank's login can reach what is demanded.
func (s *Service) feasible(ctx context.Context, o *open) error {
	if o.request.HasPrompt("none") {
		// The server keeps no session of the customer: somebody would have to log in.
		return refuse(o.request, fapi.NewError("login_required", "the customer must log in"))
	}
	if wanted := essentialACR(o.request); len(wanted) > 0 && len(s.cfg.ACRs) > 0 && !intersects(wanted, s.cfg.ACRs) {
		// OIDC Core §5.5.1.1: an essential acr that cannot be reached fails the login.
		return refuse(o.request, fapi.AccessDenied("the requested acr cannot be satisfied"))
	}
	return s.decidable(ctx, o)
}

// decidable checks the intent: the client's own, and one that a customer may
// still decide on (F1A-25, attack 78). A foreign intent is answered like one that
// does not exist.
func (s *Service) decidable(ctx context.Context, o *open) error {
	if o.request.ConsentID == "" {
		return nil
	}
	consent, err := s.deps.Store.ReadConsent(ctx, s.cfg.Issuer.URL, o.request.ConsentID)
	switch {
	case errors.Is(err, fapi.ErrNotFound):
		return refuse(o.request, fapi.AccessDenied("the consent is not known"))
	case err != nil:
		return err
	case consent.ClientID != o.client.ID:
		return refuse(o.request, fapi.AccessDenied("the consent is not known"))
	case !consent.Decidable(s.deps.Now()):
		return refuse(o.request, fapi.AccessDenied("the consent cannot be authorised any more"))
	}
	return nil
}

// essentialACR returns the acr values of which one must be reached.
func essentialACR(r *fapi.AuthorizationRequest) []string {
	acr := r.Claims.IDToken["acr"]
	if acr == nil || !acr.Essential {
		return nil
	}
	return acr.Wanted()
}

// preferredACR returns every acr value that was asked for, essential ones first.
func preferredACR(r *fapi.AuthorizationRequest) []string {
	out := slices.Clone(r.Claims.IDToken["acr"].Wanted())
	for _, v := range r.ACRValues {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

func intersects(a, b []string) bool {
	return slices.ContainsFunc(a, func(v string) bool { return slices.Contains(b, v) })
}

// judgeLogin checks the bank's word against what was demanded. The values come
// from the stored request, never from the browser.
func (s *Service) judgeLogin(o *open, i *fapi.Interaction, login fapi.Login) error {
	r, now := o.request, s.deps.Now()
	switch wanted := essentialACR(r); {
	case len(wanted) > 0 && !slices.Contains(wanted, login.ACR): // OIDC Core §5.5.1.1
		return refuse(r, fapi.AccessDenied("the requested acr was not reached"))
	case login.AuthTime.After(now.Add(fapi.ClockSkew)):
		return errors.New("the login answer's auth_time is in the future")
	case r.HasPrompt("login") && login.AuthTime.Before(i.CreatedAt.Add(-fapi.ClockSkew)): // OIDC Core §3.1.2.3
		return refuse(r, fapi.NewError("login_required", "the customer was not authenticated again"))
	case r.MaxAge != nil && login.AuthTime.Before(i.CreatedAt.Add(-time.Duration(*r.MaxAge)*time.Second-fapi.ClockSkew)):
		return refuse(r, fapi.NewError("login_required", "the authentication is older than max_age"))
	}
	subject := s.deps.Subject(o.client.Sector(), login.Customer)
	if r.HintSubject != "" && r.HintSubject != subject { // OIDC Core §3.1.2.1
		return refuse(r, fapi.NewError("login_required", "another customer logged in than the hint names"))
	}
	if wanted := r.Claims.IDToken["sub"].Wanted(); len(wanted) > 0 && !slices.Contains(wanted, subject) { // OIDC Core §5.5.1
		return refuse(r, fapi.NewError("login_required", "another customer logged in than the request names"))
	}
	return nil
}
