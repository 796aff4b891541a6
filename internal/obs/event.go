package obs

import (
	"context"
	"sync"
)

// Event is what one request leaves behind: a line of constant keys, filled in as
// the request passes through its handlers and written once at its end. It is safe
// for concurrent use.
type Event struct {
	mu     sync.Mutex
	fields []fieldOf
	fault  bool
}

type fieldOf struct{ key, value string }

type eventKey struct{}

// Begin starts the event of a request and returns the context that carries it.
func Begin(ctx context.Context, requestID string) (context.Context, *Event) {
	e := &Event{fields: make([]fieldOf, 0, 16)}
	e.Set("request_id", requestID)
	return context.WithValue(ctx, eventKey{}, e), e
}

// From returns the request's event. Outside a request it is one that nobody
// writes; it is never nil.
func From(ctx context.Context) *Event {
	if e, ok := ctx.Value(eventKey{}).(*Event); ok {
		return e
	}
	return &Event{}
}

// Set records a value under a constant key; the last one counts. A value that is
// longer than 200 characters or looks like a token is recorded as [redacted].
func (e *Event) Set(key, v string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.set(key, value(v))
}

// Fail records the error code that left the building, and its cause, which did
// not. Codes for faults of our own make the line an error.
func (e *Event) Fail(code string, cause error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.set("error", value(code))
	if cause != nil {
		e.set("cause", causeText(cause))
	}
	e.fault = code == "server_error" || code == "temporarily_unavailable"
}

func (e *Event) set(key, v string) {
	for i := range e.fields {
		if e.fields[i].key == key {
			e.fields[i].value = v
			return
		}
	}
	e.fields = append(e.fields, fieldOf{key, v})
}

func (e *Event) snapshot() ([]fieldOf, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]fieldOf(nil), e.fields...), e.fault
}
