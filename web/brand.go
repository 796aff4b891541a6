package web

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
)

// Brand is how the bank looks on its pages.
type Brand struct {
	Name   string // shown in the header and in sentences
	Accent string // #rrggbb; the colour of buttons and of the header's mark
	Logo   []byte // PNG or SVG, shown instead of the mark; may be empty
}

// maxLogo bounds the logo file.
const maxLogo = 256 << 10

var hexColour = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)

func (b Brand) check() error {
	switch {
	case b.Name == "" || plain(b.Name) != b.Name:
		return fmt.Errorf("web: the brand needs a name of one line and at most %d characters", maxName)
	case !hexColour.MatchString(b.Accent):
		return fmt.Errorf("web: the accent colour %q is not of the form #rrggbb", b.Accent)
	case len(b.Logo) > 0 && b.logoType() == "":
		return errors.New("web: the logo is neither PNG nor SVG, or larger than 256 KiB")
	}
	return nil
}

func (b Brand) logoType() string {
	switch {
	case len(b.Logo) == 0 || len(b.Logo) > maxLogo:
		return ""
	case bytes.HasPrefix(b.Logo, []byte("\x89PNG\r\n\x1a\n")):
		return "image/png"
	case bytes.Contains(b.Logo[:min(len(b.Logo), 1024)], []byte("<svg")):
		return "image/svg+xml"
	}
	return ""
}

// variables are the brand's part of the stylesheet.
func (b Brand) variables() string {
	return fmt.Sprintf(":root{--accent:%s;--on-accent:%s}\n", b.Accent, readable(b.Accent))
}

// readable returns black or white, whichever has more contrast on the colour
// (relative luminance of WCAG 2, with the square as its curve).
func readable(colour string) string {
	n, err := strconv.ParseUint(colour[1:], 16, 32)
	if err != nil {
		return "#fff" // cannot be: check has seen it
	}
	part := func(shift uint) float64 { v := float64(n>>shift&0xff) / 255; return v * v }
	if 0.2126*part(16)+0.7152*part(8)+0.0722*part(0) > 0.18 {
		return "#000"
	}
	return "#fff"
}
