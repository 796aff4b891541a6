package jose

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4/json"

	"github.com/procura/procura/internal/fapi"
)

// Decode reads one JSON value strictly: names match by exact case, no name
// stands twice in an object at any level, nesting is bounded, the text is UTF-8,
// null is no value (RFC 7515 §4, RFC 7519 §4, RFC 8725bis §3.13). Unknown names
// are ignored. Raw members inside v must be read with Decode again.
func Decode(payload []byte, v any) error {
	if err := checkStructure(payload); err != nil {
		return err
	}
	if bytes.Equal(bytes.TrimSpace(payload), []byte("null")) {
		return fmt.Errorf("null in place of a value: %w", ErrMalformed)
	}
	if err := json.Unmarshal(payload, v); err != nil {
		// The decoder quotes the sender's text: it goes no further.
		return fmt.Errorf("decoding JSON: %w", ErrMalformed)
	}
	return nil
}

// decodeString reads a token that must be a JSON string.
func decodeString(raw []byte) (string, error) {
	var s string
	if len(raw) == 0 || raw[0] != '"' {
		return "", fmt.Errorf("not a JSON string: %w", ErrMalformed)
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", fmt.Errorf("decoding a JSON string: %w", ErrMalformed)
	}
	return s, nil
}

// checkStructure looks for repeated names and too much nesting in one pass and
// without recursion, before the decoder sees the text. It does not judge the
// grammar: that is the decoder's part.
func checkStructure(raw []byte) error {
	if len(raw) > fapi.MaxBody || !utf8.Valid(raw) {
		return fmt.Errorf("JSON too large or not UTF-8: %w", ErrMalformed)
	}
	var s structure
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; c {
		case '"':
			end := stringEnd(raw, i)
			if end < 0 || !s.text(raw[i:end]) {
				return fmt.Errorf("repeated name or open string: %w", ErrMalformed)
			}
			i = end - 1
		case '{', '[', '}', ']', ',':
			if !s.mark(c) {
				return fmt.Errorf("nested too deeply or unbalanced: %w", ErrMalformed)
			}
		}
	}
	return nil
}

// stringEnd returns the index behind the string that starts at raw[i], or -1.
func stringEnd(raw []byte, i int) int {
	for i++; i < len(raw); i++ {
		switch raw[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

// structure is where a pass over JSON text stands.
type structure struct {
	frames [maxDepth]frame
	depth  int
}

// frame is one open object or array.
type frame struct {
	object, wantName bool
	names            nameSet
}

func (s *structure) mark(c byte) bool {
	switch {
	case c == '{' || c == '[':
		if s.depth == maxDepth {
			return false
		}
		s.frames[s.depth] = frame{object: c == '{', wantName: c == '{'}
		s.depth++
	case s.depth == 0:
		return c == ','
	case c == ',':
		top := &s.frames[s.depth-1]
		top.wantName = top.object
	default:
		s.depth--
	}
	return true
}

// text takes the next string and reports false if it repeats a name.
func (s *structure) text(token []byte) bool {
	if s.depth == 0 || !s.frames[s.depth-1].wantName {
		return true
	}
	top := &s.frames[s.depth-1]
	top.wantName = false
	if bytes.IndexByte(token, '\\') < 0 {
		return top.names.add(token[1 : len(token)-1])
	}
	name, err := decodeString(token)
	return err == nil && top.names.add([]byte(name))
}

// fewNames is up to how many names a plain comparison is faster than a map.
const fewNames = 24

// nameSet holds the names of one object.
type nameSet struct {
	few  [][]byte
	many map[string]struct{}
}

// add reports false when the name is there already.
func (n *nameSet) add(name []byte) bool {
	if n.many != nil {
		if _, known := n.many[string(name)]; known {
			return false
		}
		n.many[string(name)] = struct{}{}
		return true
	}
	for _, other := range n.few {
		if bytes.Equal(other, name) {
			return false
		}
	}
	n.few = append(n.few, name)
	if len(n.few) > fewNames {
		n.many = make(map[string]struct{}, 2*len(n.few))
		for _, name := range n.few {
			n.many[string(name)] = struct{}{}
		}
	}
	return true
}
