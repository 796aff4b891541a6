package web

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/obs"
	"github.com/procura/procura/internal/wire"
)

// endpoint is one path with its methods.
type endpoint struct {
	path     string
	pages    *Pages
	methods  map[string]Route
	allow    string
	draining <-chan struct{}
}

// close finishes the endpoint once all its methods are known. HEAD goes where GET
// goes, except at pages (where it would open interactions) and streams.
func (e *endpoint) close() *endpoint {
	if get, ok := e.methods[http.MethodGet]; ok && !get.Front && !get.Stream {
		if _, own := e.methods[http.MethodHead]; !own {
			e.methods[http.MethodHead] = get
		}
	}
	names := make([]string, 0, len(e.methods))
	for m := range e.methods {
		names = append(names, m)
	}
	slices.Sort(names)
	e.allow = strings.Join(names, ", ")
	return e
}

// front reports whether refusals of this path are pages.
func (e *endpoint) front() *Pages {
	for _, r := range e.methods {
		if r.Front {
			return e.pages
		}
	}
	return nil
}

// ServeHTTP refuses the wrong method with 405 and Allow (RFC 9110 §15.5.6), OPTIONS
// included: no endpoint answers a CORS preflight.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	obs.From(r.Context()).Set("route", e.path)
	defer rescue(w, r, e.front())
	route, ok := e.methods[r.Method]
	if !ok {
		w.Header().Set("Allow", e.allow)
		refuse(w, r, e.front(), &fapi.Error{Code: "invalid_request", Status: http.StatusMethodNotAllowed,
			Description: "this endpoint takes " + e.allow})
		return
	}
	if route.Stream {
		e.stream(w, r, route)
		return
	}
	route.Handler.ServeHTTP(w, r)
}

// stream serves a route without time limits of its own; its context ends when the
// server drains, so that readers reconnect elsewhere.
func (e *endpoint) stream(w http.ResponseWriter, r *http.Request, route Route) {
	rc := http.NewResponseController(w)
	for _, lift := range []func(time.Time) error{rc.SetReadDeadline, rc.SetWriteDeadline} {
		if err := lift(time.Time{}); err != nil {
			refuse(w, r, nil, fapi.Outward(err))
			return
		}
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	go func() {
		select {
		case <-e.draining:
			cancel()
		case <-ctx.Done():
		}
	}()
	route.Handler.ServeHTTP(w, r.WithContext(ctx))
}

// refuse answers an error as a page where browsers look, as JSON elsewhere
// whatever Accept says.
func refuse(w http.ResponseWriter, r *http.Request, pages *Pages, e *fapi.Error) {
	if pages != nil {
		pages.Error(w, r, e.Status, e)
		return
	}
	wire.WriteError(w, r, e)
}
