package consent

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"

	"github.com/procura/procura/cert"
	"github.com/procura/procura/internal/clientauth"
	"github.com/procura/procura/internal/clients"
	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/obs"
	"github.com/procura/procura/internal/wire"
	"github.com/procura/procura/resource"
)

// Headers in which the gateway says who it is and which client it speaks for.
// They count only together with the certificate of a registered resource server.
const (
	HeaderResourceServer = "X-Procura-Resource-Server"
	HeaderClient         = "X-Procura-Client"
)

// call is one request of the gateway.
type call struct {
	version *version
	client  *clients.Registered
	id      string // interaction id
	self    string // URL of the collection as the client sees it
}

// ServeHTTP answers POST account-access-consents, and GET and DELETE of one of
// them. Path values are version and, for one consent, id. What is wrong between
// the gateway and us is answered as an OAuth error; what is wrong with the
// client's own request in the API's words.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v, known := versions[r.PathValue("version")]
	if !known {
		http.NotFound(w, r)
		return
	}
	c, err := s.call(r, v)
	if err != nil {
		wire.WriteError(w, r, err)
		return
	}
	if err := s.serve(w, r, c); err != nil {
		v.writeError(w, r, c.id, err)
	}
}

// call authenticates the gateway by its certificate (RFC 8705 §2.1) and finds the
// client that it speaks for.
func (s *Service) call(r *http.Request, v *version) (*call, error) {
	server, okServer := single(r.Header, HeaderResourceServer)
	clientID, okClient := single(r.Header, HeaderClient)
	if !okServer || !okClient {
		return nil, fapi.InvalidClient("the resource server must name itself and one client")
	}
	peer, _ := cert.PeerFrom(r.Context())
	gateway, err := s.deps.Callers.Authenticate(r.Context(), clientauth.Request{
		Params: wire.Params{"client_id": server}, Peer: peer})
	switch {
	case err != nil:
		return nil, err
	case gateway.Client.AuthMethod != fapi.AuthTLSClient || !gateway.Once.IsZero():
		return nil, fapi.InvalidClient("a certificate is needed here, and nothing else counts")
	case !gateway.Client.IsResourceServer():
		return nil, fapi.UnauthorizedClient("only a resource server speaks for clients")
	}
	client, err := s.deps.Clients.Find(r.Context(), clientID)
	switch {
	case errors.Is(err, fapi.ErrNotFound):
		denied := &fapi.Error{Code: "access_denied", Description: "the client is not known", Status: http.StatusForbidden}
		return nil, denied.Because(err)
	case err != nil:
		return nil, fmt.Errorf("finding the client: %w", err)
	}
	id, err := resource.InteractionID(r.Header, s.deps.Rand)
	if err != nil {
		return nil, err
	}
	event := obs.From(r.Context())
	event.Set("client_id", client.ID)
	event.Set("resource_server", gateway.Client.ID)
	event.Set("interaction_id", id)
	return &call{version: v, client: client, id: id, self: s.collection(v)}, nil
}

// single returns a header that stands there once: two of a kind are two opinions.
func single(h http.Header, name string) (string, bool) {
	values := h.Values(name)
	if len(values) != 1 || values[0] == "" {
		return "", false
	}
	return values[0], true
}

// collection is the URL of account-access-consents as the client sees it: below
// the API's identifier where that is a URL, else without host.
func (s *Service) collection(v *version) string {
	path := strings.Replace(fapi.PathConsents, "{version}", v.name, 1)
	if !strings.HasPrefix(s.issuer.Audience, "https://") {
		return path
	}
	return strings.TrimSuffix(s.issuer.Audience, "/") + path
}

func (s *Service) serve(w http.ResponseWriter, r *http.Request, c *call) error {
	id := r.PathValue("id")
	switch {
	case !accepts(r.Header.Values("Accept")):
		return refused(invalidHeader, "the answer can only be JSON", "Accept").withStatus(http.StatusNotAcceptable)
	case id == "" && r.Method == http.MethodPost:
		return s.post(w, r, c)
	case id != "" && r.Method == http.MethodGet:
		return s.get(w, r, c, id)
	case id != "" && r.Method == http.MethodDelete:
		return s.delete(w, r, c, id)
	default:
		w.Header().Set("Allow", allowed(id))
		return refused(invalidFormat, "the method is not allowed here", "").withStatus(http.StatusMethodNotAllowed)
	}
}

func allowed(id string) string {
	if id == "" {
		return http.MethodPost
	}
	return http.MethodGet + ", " + http.MethodDelete
}

func (s *Service) post(w http.ResponseWriter, r *http.Request, c *call) error {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" {
		return refused(invalidHeader, "the body must be JSON", "Content-Type").withStatus(http.StatusUnsupportedMediaType)
	}
	body, err := wire.ReadBody(r)
	if err != nil {
		return err
	}
	asked, err := ParseRequest(body)
	if err != nil {
		return err
	}
	lodged, err := s.Lodge(r.Context(), c.client, asked)
	if err != nil {
		return err
	}
	s.show(w, r, c, http.StatusCreated, lodged)
	return nil
}

func (s *Service) get(w http.ResponseWriter, r *http.Request, c *call, id string) error {
	found, err := s.Read(r.Context(), c.client, id)
	if err != nil {
		return err
	}
	s.show(w, r, c, http.StatusOK, found)
	return nil
}

func (s *Service) delete(w http.ResponseWriter, r *http.Request, c *call, id string) error {
	if err := s.Delete(r.Context(), c.client, id); err != nil {
		return err
	}
	obs.From(r.Context()).Set("consent_id", id)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Service) show(w http.ResponseWriter, r *http.Request, c *call, status int, consent *fapi.Consent) {
	obs.From(r.Context()).Set("consent_id", consent.ID)
	wire.WriteJSON(w, status, c.version.describe(consent, c.self+"/"+consent.ID, s.deps.Now()))
}

// accepts reports whether the client takes JSON; weights do not matter as there
// is nothing to choose from, except that zero is a refusal (RFC 9110 §12.5.1).
func accepts(headers []string) bool {
	ranges := strings.Split(strings.Join(headers, ","), ",")
	for _, one := range ranges {
		media, params, err := mime.ParseMediaType(one)
		if err != nil {
			media = strings.TrimSpace(one)
		}
		switch media {
		case "application/json", "application/*", "*/*", "*":
			if q := params["q"]; strings.Trim(q, "0.") != "" || q == "" {
				return true
			}
		}
	}
	return strings.TrimSpace(strings.Join(headers, "")) == ""
}
