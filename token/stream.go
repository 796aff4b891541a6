package token

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/procura/procura/internal/fapi"
)

// ndjson is the media type of the stream: one JSON object per line.
const ndjson = "application/x-ndjson"

// writeLimit is how long a reader of a stream may take to receive one batch.
const writeLimit = 10 * time.Second

// stream writes lines until the reader or the server goes, the reader's own
// registration ends, or its time is up. An error is returned only while nothing
// has been written.
func (f *Feed) stream(w http.ResponseWriter, r *http.Request, self string) error {
	b := f.deps.Hub.after(0)
	if !f.current(b.asOf) {
		return fapi.TemporarilyUnavailable(errBehind)
	}
	ctx, cancel := context.WithTimeout(r.Context(), f.cfg.StreamLife)
	defer cancel()
	w.Header().Set("Content-Type", ndjson)
	w.Header().Set("Cache-Control", "no-store")
	out := lines{w: w, rc: http.NewResponseController(w)}
	if out.send(public(b.changes), tick{Synced: true, At: b.asOf.Unix()}) {
		f.follow(ctx, out, b, self)
	}
	return nil
}

// follow writes what arrives after b. A heartbeat is sent only when the hub has
// heard from the database since the last one: anything else would be a lie.
func (f *Feed) follow(ctx context.Context, out lines, b batch, self string) {
	beat := time.NewTicker(f.cfg.Heartbeat)
	defer beat.Stop()
	said := b.looks
	for {
		due := false
		select {
		case <-ctx.Done():
			return
		case <-f.deps.Hub.done:
			return
		case <-b.more:
		case <-beat.C:
			due = true
		}
		b = f.deps.Hub.after(b.last)
		var ticks []tick
		if due && b.looks > said {
			ticks, said = []tick{{At: b.asOf.Unix()}}, b.looks
		}
		if !out.send(public(b.changes), ticks...) || ended(b.changes, self) {
			return
		}
	}
}

// ended reports whether the reader itself was disabled.
func ended(changes []fapi.Change, self string) bool {
	for _, c := range changes {
		if c.Kind == fapi.ChangeClient && c.Revoked && c.Value == self {
			return true
		}
	}
	return false
}

// lines writes JSON lines and flushes each batch.
type lines struct {
	w  http.ResponseWriter
	rc *http.ResponseController
}

// send reports whether the reader is still there.
func (l lines) send(entries []entry, ticks ...tick) bool {
	if len(entries) == 0 && len(ticks) == 0 {
		return true
	}
	// A socket's deadline is wall time, whatever clock the rest is given. Where
	// it cannot be set, the server's own limits hold.
	if err := l.rc.SetWriteDeadline(time.Now().Add(writeLimit)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return false
	}
	enc := json.NewEncoder(l.w)
	for _, e := range entries {
		if enc.Encode(e) != nil {
			return false
		}
	}
	for _, t := range ticks {
		if enc.Encode(t) != nil {
			return false
		}
	}
	return l.rc.Flush() == nil
}
