package resource

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/google/uuid"
)

// InteractionHeader is the header of FAPI 1 Baseline §6.2.1-11.
const InteractionHeader = "X-Fapi-Interaction-Id"

// InteractionID returns the id that a request and its answer share: the client's
// own when it sent exactly one well-formed UUID, else a fresh one.
func InteractionID(h http.Header, random io.Reader) (string, error) {
	if sent := h.Values(InteractionHeader); len(sent) == 1 && isUUID(sent[0]) {
		return sent[0], nil
	}
	fresh, err := uuid.NewRandomFromReader(random)
	if err != nil {
		return "", fmt.Errorf("drawing an interaction id: %w", err)
	}
	return fresh.String(), nil
}

// isUUID accepts the plain text form alone: no braces, no urn.
func isUUID(s string) bool { return len(s) == 36 && uuid.Validate(s) == nil }

// WithInteractionID sets the interaction id on the answer, success or error, and
// on the request that next sees (FAPI 1 Baseline §6.2.1-11 and -12).
func WithInteractionID(next http.Handler, random io.Reader) (http.Handler, error) {
	if next == nil || random == nil {
		return nil, errors.New("interaction ids need a handler and a source of randomness")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := InteractionID(r.Header, random)
		if err != nil {
			WriteError(w, err)
			return
		}
		r.Header.Set(InteractionHeader, id)
		w.Header().Set(InteractionHeader, id)
		next.ServeHTTP(w, r)
	}), nil
}
