package web

import (
	"embed"
	"encoding/json"
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

//go:embed texts/*.json
var textFiles embed.FS

// fallback is the language that has every text.
const fallback = "en"

// maxName is how much of a name that somebody else chose is shown.
const maxName = 80

// words are the texts of one language by key. A bank translates by adding a file.
type words struct {
	lang  string
	texts map[string]string
}

// readWords loads every language there is.
func readWords() (map[string]*words, error) {
	files, err := textFiles.ReadDir("texts")
	if err != nil {
		return nil, fmt.Errorf("listing texts: %w", err)
	}
	all := map[string]*words{}
	for _, f := range files {
		raw, err := textFiles.ReadFile(path.Join("texts", f.Name()))
		if err != nil {
			return nil, fmt.Errorf("reading texts: %w", err)
		}
		w := &words{lang: strings.TrimSuffix(f.Name(), ".json")}
		if err := json.Unmarshal(raw, &w.texts); err != nil {
			return nil, fmt.Errorf("reading texts/%s: %w", f.Name(), err)
		}
		all[w.lang] = w
	}
	if all[fallback] == nil {
		return nil, fmt.Errorf("texts/%s.json is missing", fallback)
	}
	return all, nil
}

// has reports whether there is a text of that key.
func (w *words) has(key string) bool { _, ok := w.texts[key]; return ok }

// say returns the text with its {names} replaced by the values of pairs. What is
// put in is cleaned, not escaped: the template escapes.
func (w *words) say(key string, pairs ...string) (string, error) {
	text, ok := w.texts[key]
	if !ok || len(pairs)%2 != 0 {
		return "", fmt.Errorf("no text %q in %s", key, w.lang)
	}
	for i := 0; i < len(pairs); i += 2 {
		pairs[i], pairs[i+1] = "{"+pairs[i]+"}", isolate(plain(pairs[i+1]))
	}
	return strings.NewReplacer(pairs...).Replace(text), nil
}

// plain makes a name of somebody else's choosing fit to stand in a sentence: one
// line, no control or direction characters that would let it rewrite what stands
// around it, and not longer than a name.
func plain(s string) string {
	s = strings.Join(strings.Fields(strings.Map(visible, strings.ToValidUTF8(s, ""))), " ")
	if utf8.RuneCountInString(s) <= maxName {
		return s
	}
	return string([]rune(s)[:maxName-1]) + "…"
}

func visible(r rune) rune {
	switch {
	case unicode.IsSpace(r):
		return ' '
	case unicode.Is(unicode.C, r), unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r),
		unicode.Is(unicode.Variation_Selector, r):
		return -1
	}
	return r
}

// isolate keeps the direction of a foreign name from spreading into the sentence.
func isolate(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0 {
		return s
	}
	return "\u2068" + s + "\u2069"
}
