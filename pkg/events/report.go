package events

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Bounds of a RefusalReported: how many kinds it tells of, and of how many refusals
// of each.
const (
	MaxReported      = 64
	MaxReportedCount = 1 << 53
)

// RefusalReported tells executors what a node has refused since it told them last,
// so that one of them puts it onto the log. It says nothing of anybody but that this
// node refused. It is never on the log itself.
type RefusalReported struct {
	Refused []Refused `json:"refused"`
}

// Refused is how often a node has refused something for one reason.
type Refused struct {
	// Channel is RefusedPost or RefusedFile.
	Channel string       `json:"channel"`
	Reason  fleet.Reason `json:"reason"`
	// Detail is one sentence on the newest, at most MaxRefusalDetail bytes.
	Detail string `json:"detail"`
	Count  uint64 `json:"count"`
}

func (*RefusalReported) payload() {}

func checkReport(d *RefusalReported) error {
	if err := need(len(d.Refused) > 0 && len(d.Refused) <= MaxReported, "a report tells of 1 to %d kinds of refusals, this one of %d", MaxReported, len(d.Refused)); err != nil {
		return err
	}
	for _, r := range d.Refused {
		known := r.Channel == RefusedPost || r.Channel == RefusedFile
		if err := need(known && r.Reason != "" && r.Count > 0 && r.Count <= MaxReportedCount && len(r.Detail) <= MaxRefusalDetail,
			"a node reports posts and files, with a reason, a count from 1 and a detail of at most %d bytes", MaxRefusalDetail); err != nil {
			return err
		}
	}
	return nil
}

// RefusalDetail bounds what others wrote to what the detail of a refusal may have,
// and leaves out what could move a cursor, or turn the direction of a line.
func RefusalDetail(text string) string {
	const more = "…"
	text = strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return unicode.ReplacementChar
		}
		return c
	}, strings.ToValidUTF8(text[:min(len(text), 4*MaxRefusalDetail)], string(unicode.ReplacementChar)))
	if len(text) <= MaxRefusalDetail {
		return text
	}
	end := MaxRefusalDetail - len(more)
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + more
}
