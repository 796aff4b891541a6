package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net/http"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/obs"
)

//go:embed templates/*.html assets/style.css
var pageFiles embed.FS

// Paths of what pages load, below the issuer.
const (
	pathStyle = "/assets/style.css"
	pathLogo  = "/assets/logo"
)

// pageContent is the policy of pages without script. It has no form-action on
// purpose: Chromium applies that to the redirects after a form too, and the
// consent form ends in one to the client.
const pageContent = "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'"

// PagesConfig says whose pages they are.
type PagesConfig struct {
	Issuer fapi.Issuer
	Brand  Brand
}

// PagesDeps are what pages need of others.
type PagesDeps struct{ Rand io.Reader }

// Pages writes everything that a customer sees of this server: plain HTML that
// works without script, loads nothing from elsewhere and cannot be framed.
type Pages struct {
	cfg    PagesConfig
	deps   PagesDeps
	langs  map[string]*words
	layout map[string]*template.Template
	base   string // path of the issuer
	css    []byte
	cssTag string
}

// NewPages parses templates and texts. It refuses brands that could not be shown.
func NewPages(cfg PagesConfig, deps PagesDeps) (*Pages, error) {
	if deps.Rand == nil {
		return nil, errors.New("web: pages need Rand")
	}
	if err := cfg.Brand.check(); err != nil {
		return nil, err
	}
	b, err := parseBase(cfg.Issuer.URL)
	if err != nil {
		return nil, err
	}
	p := &Pages{cfg: cfg, deps: deps, base: b.path, layout: map[string]*template.Template{}}
	if p.langs, err = readWords(); err != nil {
		return nil, err
	}
	for _, name := range []string{"consent", "error", "formpost"} {
		t, err := template.ParseFS(pageFiles, "templates/layout.html", "templates/"+name+".html")
		if err != nil {
			return nil, fmt.Errorf("parsing the %s page: %w", name, err)
		}
		p.layout[name] = t
	}
	return p, p.dress()
}

// dress makes the stylesheet of the brand.
func (p *Pages) dress() error {
	css, err := pageFiles.ReadFile("assets/style.css")
	if err != nil {
		return fmt.Errorf("reading the stylesheet: %w", err)
	}
	p.css = append([]byte(p.cfg.Brand.variables()), css...)
	sum := sha256.Sum256(p.css)
	p.cssTag = hex.EncodeToString(sum[:6])
	return nil
}

// style is the route of the stylesheet; the address carries its digest.
func (p *Pages) style() Route {
	return Route{Method: http.MethodGet, Path: pathStyle, Public: true,
		Handler: asset("text/css; charset=utf-8", p.css)}
}

// logo is the route of the brand's picture.
func (p *Pages) logo() Route {
	return Route{Method: http.MethodGet, Path: pathLogo, Public: true,
		Handler: asset(p.cfg.Brand.logoType(), p.cfg.Brand.Logo)}
}

// assets are the routes of what pages load.
func (p *Pages) assets() []Route {
	if p.cfg.Brand.logoType() == "" {
		return []Route{p.style()}
	}
	return []Route{p.style(), p.logo()}
}

func asset(contentType string, body []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Cache-Control", "public, max-age=86400")
		_, _ = w.Write(body) // the peer is gone when this fails; there is nobody to tell
	})
}

// sheet is what every page is made of.
type sheet struct {
	words *words
	Pages *Pages
	View  any
}

// T is the page's way to its texts.
func (s sheet) T(key string, pairs ...string) (string, error) { return s.words.say(key, pairs...) }

// Lang is the language of the page.
func (s sheet) Lang() string { return s.words.lang }

// Bank is the brand's name.
func (s sheet) Bank() string { return s.Pages.cfg.Brand.Name }

// Mark is the brand's first letter, shown where there is no logo.
func (s sheet) Mark() string { return string([]rune(s.Bank())[:1]) }

// Logo is the address of the picture, "" without one.
func (s sheet) Logo() string {
	if s.Pages.cfg.Brand.logoType() == "" {
		return ""
	}
	return s.Pages.base + pathLogo
}

// Style is the address of the stylesheet.
func (s sheet) Style() string { return s.Pages.base + pathStyle + "?v=" + s.Pages.cssTag }

// write sends a page. It is made before the first byte leaves, so that a page
// that cannot be made is an error and not half a page.
func (p *Pages) write(w http.ResponseWriter, r *http.Request, name, locale string, status int, view any) {
	lang := p.langs[locale]
	if lang == nil {
		lang = p.langs[fallback]
	}
	var page bytes.Buffer
	if err := p.layout[name].Execute(&page, sheet{words: lang, Pages: p, View: view}); err != nil {
		obs.From(r.Context()).Fail("server_error", fmt.Errorf("making the %s page: %w", name, err))
		w.Header().Set("Content-Security-Policy", noContent)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	w.WriteHeader(status)
	_, _ = w.Write(page.Bytes()) // the peer is gone when this fails; there is nobody to tell
}

// nonce draws what lets the one script of a page run.
func (p *Pages) nonce() (string, error) {
	b := make([]byte, 18)
	if _, err := io.ReadFull(p.deps.Rand, b); err != nil {
		return "", fmt.Errorf("drawing a nonce: %w", err)
	}
	return base64.StdEncoding.EncodeToString(b), nil
}
