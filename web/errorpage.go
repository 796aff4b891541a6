package web

import (
	"net/http"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/obs"
)

type errorView struct {
	Text                string // key of the heading; ".text" of it explains
	Code, Reason, Reply string
}

// Error shows why there is no way on, in our own words and nothing of the
// caller's, and records the cause in the request's event. Only the request id
// connects the page with the log.
func (p *Pages) Error(w http.ResponseWriter, r *http.Request, status int, e *fapi.Error) {
	obs.From(r.Context()).Fail(e.Code, e)
	h := w.Header()
	h.Set("Content-Security-Policy", pageContent)
	if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	p.write(w, r, "error", "", status, errorView{
		Text:   heading(status),
		Code:   e.Code,
		Reason: e.Description,
		Reply:  h.Get("X-Request-ID"),
	})
}

func heading(status int) string {
	switch {
	case status >= http.StatusInternalServerError:
		return "error.fault"
	case status == http.StatusNotFound || status == http.StatusMethodNotAllowed:
		return "error.missing"
	default:
		return "error.refused"
	}
}
