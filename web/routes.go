package web

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/gorilla/mux"

	"github.com/procura/procura/internal/fapi"
)

// listenerName tells the two listeners for issuers apart, in events too.
type listenerName string

const (
	onPublic listenerName = "public"
	onMTLS   listenerName = "mtls"
)

// Well-known names of the metadata (OIDC Discovery §4, RFC 8414 §3).
const (
	PathOpenIDConfiguration = "/.well-known/openid-configuration"
	PathOAuthServer         = "/.well-known/oauth-authorization-server"
)

// table finds the endpoint of a request: first by host, then by path.
type table struct {
	hosts map[string]*mux.Router
	miss  http.Handler // for hosts that nobody configured
}

// routes builds the table of one listener. It refuses the same method and path
// twice on one host.
func (s *Server) routes(on listenerName) (*table, error) {
	t := &table{hosts: map[string]*mux.Router{}, miss: http.HandlerFunc(misdirected)}
	for _, site := range s.cfg.Sites {
		b, err := parseBase(site.baseOn(on))
		if err != nil {
			return nil, err
		}
		router, known := t.hosts[b.host]
		if !known {
			router = newRouter(site.Pages, on)
			t.hosts[b.host] = router
		}
		if err := mount(router, site, b.path, on, s.draining); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (s Site) baseOn(on listenerName) string {
	if on == onMTLS {
		return s.Issuer.MTLSBase
	}
	return s.Issuer.URL
}

// newRouter never cleans a path: mux would redirect to the clean one, and no
// endpoint of ours redirects a request that may carry credentials.
func newRouter(pages *Pages, on listenerName) *mux.Router {
	r := mux.NewRouter().SkipClean(true)
	r.NotFoundHandler = missing(pages, on)
	return r
}

// mount adds a site's endpoints, each path once with all its methods.
func mount(router *mux.Router, site Site, prefix string, on listenerName, draining <-chan struct{}) error {
	var order []string
	byPath := map[string]*endpoint{}
	routes := site.Routes
	if on == onPublic {
		routes = append(slices.Clone(routes), site.Pages.assets()...)
	}
	for _, r := range routes {
		if on == onPublic && !r.Public || on == onMTLS && !r.MTLS {
			continue
		}
		path := place(prefix, r.Path)
		e, known := byPath[path]
		if !known {
			e = &endpoint{path: path, pages: site.Pages, methods: map[string]Route{}, draining: draining}
			byPath[path] = e
			order = append(order, path)
		}
		if _, twice := e.methods[r.Method]; twice {
			return fmt.Errorf("web: %s %s is routed twice for %s", r.Method, path, site.Issuer.URL)
		}
		e.methods[r.Method] = r
	}
	for _, path := range order {
		e := byPath[path]
		router.Handle(path, named(e.close()))
	}
	return nil
}

// place puts a path below the issuer's, except for the one well-known name that
// RFC 8414 §3 inserts between host and path.
func place(prefix, path string) string {
	if path == PathOAuthServer {
		return path + prefix
	}
	return prefix + path
}

// named hands mux's path variables to the handler in the standard library's way.
func named(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, v := range mux.Vars(r) {
			r.SetPathValue(name, v)
		}
		next.ServeHTTP(w, r)
	})
}

// ServeHTTP finds the host's router. The host is compared with configuration and
// used for nothing else; forwarded headers are not read.
func (t *table) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host, ok := canonicalHost(r.Host)
	router := t.hosts[host]
	if !ok || router == nil {
		t.miss.ServeHTTP(w, r)
		return
	}
	router.ServeHTTP(w, r)
}

func misdirected(w http.ResponseWriter, r *http.Request) {
	refuse(w, r, nil, &fapi.Error{Code: "invalid_request", Status: http.StatusMisdirectedRequest,
		Description: "this host is not served here"})
}

func missing(pages *Pages, on listenerName) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		style := pages
		if on == onMTLS || strings.HasPrefix(r.URL.Path, "/.well-known/") {
			style = nil
		}
		refuse(w, r, style, &fapi.Error{Code: "not_found", Status: http.StatusNotFound,
			Description: "there is nothing at this address"})
	})
}
