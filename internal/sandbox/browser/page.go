package browser

import (
	"bytes"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// Page is what the customer looks at.
type Page struct {
	URL    *url.URL
	Home   bool // the journey's end: not fetched, everything is in URL
	Status int
	Title  string
	Text   string // all words of the body, for people
	fields []*field
	ids    map[string]bool // of every element
}

// field is one form control.
type field struct {
	id, name, kind, value string
	checked               bool
	action                string // of its form
	form                  int    // number of its form, 0 outside of any
}

// Has reports whether an element with the id is on the page.
func (p *Page) Has(id string) bool { return p.ids[id] }

// Fill types value into the field with the id.
func (p *Page) Fill(id, value string) error {
	f := p.find(id)
	if f == nil {
		return p.lacks(id)
	}
	f.value = value
	return nil
}

// Tick sets or clears the box with the id.
func (p *Page) Tick(id string, on bool) error {
	f := p.find(id)
	if f == nil || f.kind != "checkbox" {
		return p.lacks(id)
	}
	f.checked = on
	return nil
}

// Boxes returns the ids of all boxes, in order.
func (p *Page) Boxes() []string {
	var ids []string
	for _, f := range p.fields {
		if f.kind == "checkbox" {
			ids = append(ids, f.id)
		}
	}
	return ids
}

func (p *Page) find(id string) *field {
	i := slices.IndexFunc(p.fields, func(f *field) bool { return f.id == id })
	if i < 0 {
		return nil
	}
	return p.fields[i]
}

func (p *Page) lacks(id string) error {
	return fmt.Errorf("the page %q at %s (status %d) has no %s", p.Title, bare(p.URL), p.Status, id)
}

// press collects what the form around a button sends, and where to.
func (p *Page) press(button string) (url.Values, *url.URL, error) {
	b := p.find(button)
	if b == nil || b.form == 0 {
		return nil, nil, p.lacks(button)
	}
	values := url.Values{}
	for _, f := range p.fields {
		if f.form == b.form && f.name != "" && (f == b || f.sends()) {
			values.Add(f.name, f.value)
		}
	}
	target, err := p.URL.Parse(b.action)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the form's address: %w", err)
	}
	return values, target, nil
}

// sends reports whether the control sends its value without being pressed.
func (f *field) sends() bool {
	switch f.kind {
	case "submit", "button", "reset", "image":
		return false
	case "checkbox", "radio":
		return f.checked
	}
	return true
}

func parse(at *url.URL, status int, body []byte) (*Page, error) {
	root, err := html.Parse(bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("parsing %s: %w", bare(at), err)
	}
	r := reader{page: &Page{URL: at, Status: status, ids: map[string]bool{}}}
	r.walk(root, nil)
	r.page.Text = strings.Join(r.words, " ")
	return r.page, nil
}

// reader collects controls and words while it walks the tree.
type reader struct {
	page  *Page
	forms int
	words []string
}

type form struct {
	number int
	action string
}

func (r *reader) walk(n *html.Node, in *form) {
	if id := attr(n, "id"); id != "" {
		r.page.ids[id] = true
	}
	switch {
	case n.Type == html.TextNode:
		r.words = append(r.words, strings.Fields(n.Data)...)
	case n.Type != html.ElementNode:
	case n.Data == "script" || n.Data == "style":
		return
	case n.Data == "title" && n.FirstChild != nil:
		r.page.Title = strings.TrimSpace(n.FirstChild.Data)
		return
	case n.Data == "form":
		r.forms++
		in = &form{number: r.forms, action: attr(n, "action")}
	case n.Data == "input" || n.Data == "button":
		r.page.fields = append(r.page.fields, control(n, in))
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		r.walk(c, in)
	}
}

func control(n *html.Node, in *form) *field {
	f := &field{id: attr(n, "id"), name: attr(n, "name"), kind: strings.ToLower(attr(n, "type")), value: attr(n, "value")}
	if n.Data == "button" && f.kind == "" {
		f.kind = "submit"
	}
	if f.kind == "checkbox" && f.value == "" {
		f.value = "on"
	}
	f.checked = slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == "checked" })
	if in != nil {
		f.form, f.action = in.number, in.action
	}
	if to := attr(n, "formaction"); to != "" {
		f.action = to
	}
	return f
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}
