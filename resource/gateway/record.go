package gateway

import (
	"context"
	"fmt"
	"net/http"

	"github.com/procura/procura/resource"
)

type (
	recordKey   struct{}
	decisionKey struct{}
)

func recordOf(ctx context.Context) *Record { return ctx.Value(recordKey{}).(*Record) }

func withDecision(ctx context.Context, d *decision) context.Context {
	return context.WithValue(ctx, decisionKey{}, d)
}

func decisionOf(ctx context.Context) *decision { return ctx.Value(decisionKey{}).(*decision) }

func (r *Record) allowed(d *decision) {
	r.Client, r.Consent = d.token.ClientID, d.token.ConsentID
}

// observe gives every request an interaction id and a record (FAPI 1 Baseline
// §6.2.1-11 and -12). The record is written even when an upstream dies in the
// middle of its answer, which ends in a panic that the server expects.
func (g *Gateway) observe(next http.Handler) (http.Handler, error) {
	recorded := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := g.deps.Now()
		rec := &Record{InteractionID: r.Header.Get(resource.InteractionHeader), Method: r.Method, Path: r.URL.Path}
		out := &statusWriter{ResponseWriter: w}
		defer func() {
			rec.Status, rec.Took = out.status, g.deps.Now().Sub(began)
			g.deps.Log(*rec)
		}()
		next.ServeHTTP(out, r.WithContext(context.WithValue(r.Context(), recordKey{}, rec)))
	})
	h, err := resource.WithInteractionID(recorded, g.deps.Rand)
	if err != nil {
		return nil, fmt.Errorf("configuring the gateway: %w", err)
	}
	return h, nil
}

// statusWriter remembers the final status.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (s *statusWriter) WriteHeader(status int) {
	if s.status == 0 && status >= http.StatusOK {
		s.status = status
	}
	s.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (s *statusWriter) Write(b []byte) (int, error) {
	if s.status == 0 {
		s.status = http.StatusOK
	}
	return s.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (s *statusWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }
