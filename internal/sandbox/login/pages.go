package login

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
)

//go:embed pages/*
var files embed.FS

// pages renders the application's three pages and its one style sheet.
type pages struct {
	templates *template.Template
	css       []byte
}

type formView struct {
	Challenge, Client, Username string
	Wrong                       bool
}

type homeView struct {
	Known bool
	Name  string
}

func newPages() (*pages, error) {
	t, err := template.ParseFS(files, "pages/*.html")
	if err != nil {
		return nil, fmt.Errorf("parsing the pages: %w", err)
	}
	css, err := files.ReadFile("pages/style.css")
	if err != nil {
		return nil, fmt.Errorf("reading the style sheet: %w", err)
	}
	return &pages{templates: t, css: css}, nil
}

func (p *pages) form(w http.ResponseWriter, status int, v formView) {
	p.show(w, status, "form.html", v)
}

func (p *pages) home(w http.ResponseWriter, v homeView) { p.show(w, http.StatusOK, "home.html", v) }

// refused shows that something is wrong with the way that led here; it repeats
// nothing of the request.
func (p *pages) refused(w http.ResponseWriter) { p.show(w, http.StatusBadRequest, "refused.html", nil) }

func (p *pages) show(w http.ResponseWriter, status int, name string, view any) {
	var body bytes.Buffer
	if err := p.templates.ExecuteTemplate(&body, name, view); err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // the browser is gone when this fails
}

func (p *pages) style(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	_, _ = w.Write(p.css)
}
