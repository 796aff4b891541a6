package authz

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/procura/procura/internal/authreq"
	"github.com/procura/procura/internal/clients"
	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/obs"
)

// fail answers with an error: to the client when its redirect URI is verified,
// on a page otherwise (RFC 6749 §4.1.2.1).
func (s *Service) fail(w http.ResponseWriter, r *http.Request, c *clients.Registered, err error) {
	e := fapi.Outward(err)
	obs.From(r.Context()).Fail(e.Code, err)
	var refusal *authreq.Refusal
	if c == nil || !errors.As(err, &refusal) || refusal.Return.RedirectURI == "" {
		s.deps.Pages.Error(w, r, pageStatus(e), e)
		return
	}
	params := map[string]string{"error": e.Code, "error_description": e.Description}
	if refusal.Return.State != "" {
		params["state"] = refusal.Return.State
	}
	s.answer(w, r, c, refusal.Return, params)
}

// pageStatus is 400 except for our own faults and for whoever came from another
// browser (attacks 71 and 73).
func pageStatus(e *fapi.Error) int {
	if e.Status >= 500 || e.Status == http.StatusForbidden {
		return e.Status
	}
	return http.StatusBadRequest
}

// answer sends params to the client in the response mode, with iss (RFC 9207)
// outside of a JWT or inside of it (JARM §2.1).
func (s *Service) answer(w http.ResponseWriter, r *http.Request, c *clients.Registered, to authreq.Return, params map[string]string) {
	mode, wrapped := strings.CutSuffix(to.Mode, ".jwt")
	if wrapped {
		response, err := s.wrap(r, c, params)
		if err != nil {
			s.fail(w, r, nil, err)
			return
		}
		params = map[string]string{"response": response}
	} else {
		params["iss"] = s.cfg.Issuer.URL
	}
	w.Header().Set("Cache-Control", "no-store")
	switch mode {
	case "form_post":
		s.deps.Pages.FormPost(w, r, to.RedirectURI, params)
	case "fragment":
		seeOther(w, to.RedirectURI+"#"+encode(params))
	default:
		glue := "?"
		if strings.Contains(to.RedirectURI, "?") { // the registered query comes back intact
			glue = "&"
		}
		seeOther(w, to.RedirectURI+glue+encode(params))
	}
}

func (s *Service) wrap(r *http.Request, c *clients.Registered, params map[string]string) (string, error) {
	keys, err := c.EncryptionKeys(r.Context())
	if err != nil {
		return "", err
	}
	response, err := s.deps.Mint.Response(c.Client, keys, params, s.deps.Now())
	return response.Reveal(), err
}

func encode(params map[string]string) string {
	v := make(url.Values, len(params))
	for name, value := range params {
		v.Set(name, value)
	}
	return v.Encode()
}

// seeOther is 303, so that a form's body never travels on (FAPI 2 §5.3.2.2-10).
// http.Redirect is not used: it would rewrite the client's URI.
func seeOther(w http.ResponseWriter, location string) {
	w.Header().Set("Location", location)
	w.WriteHeader(http.StatusSeeOther)
}
