package web

import (
	"fmt"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/procura/procura/cert"
	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/obs"
)

// pipeline is what every request of a listener passes, outermost first: request
// id and event, headers, panic guard, body cap, peer certificate, routing.
func (s *Server) pipeline(on listenerName) (http.Handler, error) {
	t, err := s.routes(on)
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := s.deps.Now()
		id, err := s.requestID(r)
		ctx, event := obs.Begin(r.Context(), id)
		rec := &recorder{ResponseWriter: w}
		r = r.WithContext(ctx)
		harden(rec.Header(), on)
		if r.ProtoMajor == 1 && len(r.TransferEncoding) > 0 {
			// net/http reads chunks and forgets a Content-Length beside them: what
			// follows may be a request that a proxy in front took for this one's
			// body (RFC 9112 §6.1; attack 85).
			rec.Header().Set("Connection", "close")
		}
		defer func() { s.finish(event, rec, start) }()
		event.Set("listener", string(on))
		event.Set("method", r.Method)
		event.Set("route", "none") // the path itself may hold anything
		if err != nil {
			refuse(rec, r, nil, fapi.Outward(err))
			return
		}
		rec.Header().Set("X-Request-ID", id)
		s.admit(rec, r, on, t)
	}), nil
}

// admit guards against panics, caps the body and names the peer.
func (s *Server) admit(w http.ResponseWriter, r *http.Request, on listenerName, next http.Handler) {
	defer rescue(w, r, nil)
	r.Body = http.MaxBytesReader(w, r.Body, fapi.MaxBody)
	if on == onMTLS && r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		r = r.WithContext(cert.WithPeer(r.Context(), cert.NewPeer(r.TLS.PeerCertificates)))
	}
	next.ServeHTTP(w, r)
}

// requestID takes over the caller's id when it is a UUID in its usual form and
// draws one otherwise: nothing else of a stranger's choice gets into the log.
func (s *Server) requestID(r *http.Request) (string, error) {
	if in := r.Header.Get("X-Request-ID"); len(in) == 36 {
		if id, err := uuid.Parse(in); err == nil {
			return id.String(), nil
		}
	}
	id, err := uuid.NewRandomFromReader(s.deps.Rand)
	if err != nil {
		return "", fmt.Errorf("drawing a request id: %w", err)
	}
	return id.String(), nil
}

func (s *Server) finish(event *obs.Event, rec *recorder, start time.Time) {
	event.Set("status", strconv.Itoa(rec.code()))
	event.Set("duration_us", strconv.FormatInt(s.deps.Now().Sub(start).Microseconds(), 10))
	s.deps.Log.Emit(event)
}

// noContent is the policy of everything that is no page of ours.
const noContent = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'"

// harden sets the headers that every answer carries; handlers of public documents
// set their own Cache-Control, pages their own policy. There is no CORS header
// here or anywhere: no page of another origin talks to this server.
func harden(h http.Header, on listenerName) {
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", noContent)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	if on == onPublic {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// rescue turns a panic into server_error. A handler that already answered can only
// be cut off. http.ErrAbortHandler passes: net/http knows it.
func rescue(w http.ResponseWriter, r *http.Request, pages *Pages) {
	v := recover()
	if v == nil {
		return
	}
	if v == http.ErrAbortHandler { //nolint:errorlint // a sentinel that is compared, as net/http does
		panic(v)
	}
	cause := fmt.Errorf("panic: %v at %s", v, panicked())
	if rec, ok := w.(*recorder); ok && rec.status != 0 {
		obs.From(r.Context()).Fail("server_error", cause)
		panic(http.ErrAbortHandler)
	}
	refuse(w, r, pages, fapi.Outward(cause))
}

// panicked names the functions around the panic, innermost first.
func panicked() string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	var at []string
	for seen := false; len(at) < 4; {
		f, more := frames.Next()
		inRuntime := strings.HasPrefix(f.Function, "runtime.")
		if seen && !inRuntime {
			at = append(at, fmt.Sprintf("%s:%d", f.Function, f.Line))
		}
		seen = seen || f.Function == "runtime.gopanic"
		if !more {
			break
		}
	}
	return strings.Join(at, " < ")
}

// recorder remembers the status of an answer. It hides nothing: response
// controllers reach the writer below through Unwrap.
type recorder struct {
	http.ResponseWriter
	status int
}

// Unwrap implements the contract of http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// WriteHeader implements http.ResponseWriter. Informational answers do not count.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= http.StatusOK {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(p)
}

func (r *recorder) code() int {
	if r.status == 0 {
		return http.StatusOK // net/http answers so when a handler says nothing
	}
	return r.status
}
