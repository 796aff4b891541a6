package token

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/wire"
)

// page answers a poll.
type page struct {
	Changes []entry `json:"changes"`
	Cursor  string  `json:"cursor"`
	At      int64   `json:"at"`
}

// poll answers one long poll. It waits for entries, not for noise: changes that
// concern our own processes alone do not end it.
func (f *Feed) poll(w http.ResponseWriter, r *http.Request, params wire.Params) error {
	number, known := f.deps.Hub.position(params.Get("cursor"))
	wait, err := f.wait(params.Get("wait"))
	if err != nil {
		return err
	}
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	for waiting := known; ; {
		b := f.deps.Hub.after(number)
		told := public(b.changes)
		if len(told) > 0 || !waiting {
			if !f.current(b.asOf) {
				return fapi.TemporarilyUnavailable(errBehind)
			}
			wire.WriteJSON(w, http.StatusOK, page{told, f.deps.Hub.cursor(b.last), b.asOf.Unix()})
			return nil
		}
		select {
		case <-b.more:
		case <-timeout.C:
			waiting = false
		case <-f.deps.Hub.done:
			waiting = false
		case <-r.Context().Done():
			return nil
		}
	}
}

func (f *Feed) wait(seconds string) (time.Duration, error) {
	if seconds == "" {
		return f.cfg.MaxWait, nil
	}
	n, err := strconv.ParseUint(seconds, 10, 16)
	if err != nil {
		return 0, fapi.InvalidRequest("wait must be a number of seconds")
	}
	return min(time.Duration(n)*time.Second, f.cfg.MaxWait), nil
}

// cursor names a place in this hub's log, for this process alone.
func (h *Hub) cursor(number uint64) string { return fmt.Sprintf("%s.%d", h.name, number) }

// position reads a cursor; one of another process means from the beginning.
func (h *Hub) position(cursor string) (number uint64, known bool) {
	digits, ours := strings.CutPrefix(cursor, h.name+".")
	if !ours {
		return 0, false
	}
	number, err := strconv.ParseUint(digits, 10, 64)
	return number, err == nil
}
