package events

import (
	"strings"
	"testing"
	"unicode"
)

func TestWhatANodeMayReport(t *testing.T) {
	good := Refused{Channel: RefusedPost, Reason: "unsigned", Detail: "x", Count: 1}
	with := func(change func(*Refused)) []Refused { r := good; change(&r); return []Refused{r} }
	for why, c := range map[string]struct {
		refused []Refused
		fits    bool
	}{
		"a post":             {[]Refused{good}, true},
		"a file":             {with(func(r *Refused) { r.Channel = RefusedFile }), true},
		"as many as may be":  {manyOf(good, MaxReported), true},
		"nothing":            {nil, false},
		"too many":           {manyOf(good, MaxReported+1), false},
		"what others refuse": {with(func(r *Refused) { r.Channel = RefusedBus }), false},
		"no reason":          {with(func(r *Refused) { r.Reason = "" }), false},
		"none of them":       {with(func(r *Refused) { r.Count = 0 }), false},
		"more than there is": {with(func(r *Refused) { r.Count = MaxReportedCount + 1 }), false},
		"a novel":            {with(func(r *Refused) { r.Detail = strings.Repeat("x", MaxRefusalDetail+1) }), false},
	} {
		e, _ := example(t, TypeRefusalReported)
		e.Data, e.Body = &RefusalReported{Refused: c.refused}, nil
		m, err := Encode(DefaultSubjects(), e)
		if err == nil {
			_, err = Decode(DefaultSubjects(), m)
		}
		if (err == nil) != c.fits {
			t.Errorf("%s: %v", why, err)
		}
	}
}

func manyOf(r Refused, n int) (all []Refused) {
	for range n {
		all = append(all, r)
	}
	return all
}

func TestDetailsAreBoundedAndHarmless(t *testing.T) {
	for what, text := range map[string]string{
		"long":           strings.Repeat("x", 1<<20),
		"long runes":     strings.Repeat("é", 1000),
		"a cut rune":     strings.Repeat("x", MaxRefusalDetail-4) + "ééé",
		"bytes":          "\xff\xfe" + strings.Repeat("\x80", 300),
		"a screen":       "\x1b[2J\r\n\x00",
		"a direction":    "a\u202eb\u2066c\u200f",
		"exactly enough": strings.Repeat("x", MaxRefusalDetail),
	} {
		got := RefusalDetail(text)
		if len(got) > MaxRefusalDetail || strings.ContainsFunc(got, func(c rune) bool { return !unicode.IsPrint(c) }) || strings.ToValidUTF8(got, "") != got {
			t.Errorf("%s: %d bytes, %q", what, len(got), got)
		}
	}
	if got := RefusalDetail("as it is"); got != "as it is" {
		t.Errorf("got %q", got)
	}
}
