package web

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/procura/procura/internal/fapi"
)

// consentPage is the consent view in the words of one language.
type consentPage struct {
	fapi.ConsentView
	Client  string
	May     []string
	Date    string
	Problem string // key of a text
}

// Consent shows who asks, what they may see, of which accounts and until when. The
// form posts decision=approve or decision=cancel, account (once per account that
// stayed ticked) and csrf_token to the view's action. Whether the answer is
// acceptable is the caller's to decide.
func (p *Pages) Consent(w http.ResponseWriter, r *http.Request, view fapi.ConsentView) {
	lang := p.langs[view.Locale]
	if lang == nil {
		lang = p.langs[fallback]
	}
	page := consentPage{ConsentView: view, Client: plain(view.ClientName), May: lang.may(view), Date: date(view.ExpiresAt)}
	if page.Client == "" {
		page.Client = lang.texts["consent.unnamed"]
	}
	status := http.StatusOK
	if lang.has("problem." + view.Problem) {
		page.Problem, status = "problem."+view.Problem, http.StatusUnprocessableEntity
	}
	w.Header().Set("Content-Security-Policy", pageContent)
	p.write(w, r, "consent", lang.lang, status, page)
}

// may translates permissions and scopes into sentences: each once, unknown codes
// as they are (a customer must not agree to what the page hides), scopes that
// show nothing of themselves and those that the permissions spell out left away.
func (w *words) may(v fapi.ConsentView) []string {
	var out []string
	add := func(kind, code string) {
		text, known := w.texts[kind+"."+code]
		if !known {
			text = plain(code)
		}
		if text != "" && !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	for _, code := range v.Permissions {
		if !covered(code, v.Permissions) {
			add("permission", code)
		}
	}
	for _, scope := range v.Scopes {
		if scope != "accounts" || len(v.Permissions) == 0 {
			add("scope", scope)
		}
	}
	return out
}

// covered reports whether a code says nothing that another of the same list does
// not say better.
func covered(code string, all []string) bool {
	has := func(c string) bool { return slices.Contains(all, c) }
	switch code {
	case "ReadTransactionsCredits", "ReadTransactionsDebits": // both are all of them
		return has("ReadTransactionsCredits") && has("ReadTransactionsDebits") &&
			(has("ReadTransactionsBasic") || has("ReadTransactionsDetail"))
	}
	stem, basic := strings.CutSuffix(code, "Basic")
	return basic && has(stem+"Detail")
}

// date turns a timestamp into a day for people; other words stay as they are.
func date(s string) string {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return s
	}
	return t.UTC().Format("2 January 2006, 15:04 MST")
}
