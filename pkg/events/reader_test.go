package events

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// withoutReader lists what encoding/json reads alone: it holds bytes and a
// pointer, and is never on the log.
var withoutReader = []Type{TypeCommandAnswered}

func TestWhatIsOnTheLogHasAReader(t *testing.T) {
	for typ, f := range forms {
		if (f.read == nil) != slices.Contains(withoutReader, typ) {
			t.Errorf("%s: reader is %v", typ, f.read != nil)
		}
	}
}

// sameWays checks that the quick way reads nothing that the slow one refuses or
// reads otherwise, and returns whether it read the body at all.
func sameWays(t *testing.T, f *form, body []byte) bool {
	t.Helper()
	data, ok := f.quick(body)
	if !ok {
		return false
	}
	want, err := f.slow(body)
	if err != nil {
		t.Fatalf("%s: the quick way reads %q, but: %v", f.Type, body, err)
	}
	if !reflect.DeepEqual(data, want) {
		t.Fatalf("%s: %q is %+v, the quick way reads %+v", f.Type, body, want, data)
	}
	return true
}

func TestExamplesAreReadTheQuickWay(t *testing.T) {
	for typ, f := range forms {
		e, _ := example(t, typ)
		e.Body = bytes.TrimSpace(e.Body)
		if read := sameWays(t, f, e.Body); read == slices.Contains(withoutReader, typ) {
			t.Errorf("%s: read the quick way: %v", typ, read)
		}
		for i := range e.Body { // cut off, and with each byte spoiled
			sameWays(t, f, e.Body[:i])
			for _, c := range []byte(`"\{}[],:0-1.en` + "\n \x01") {
				spoiled := slices.Clone(e.Body)
				spoiled[i] = c
				sameWays(t, f, spoiled)
			}
		}
	}
}

// What is written in an unusual way is not always read the quick way, but never
// otherwise than the slow way reads it.
func TestReadersAgreeOnOddTexts(t *testing.T) {
	type odd struct {
		typ   Type
		body  string
		quick bool
	}
	for name, c := range map[string]odd{
		"white space":               {TypeNodeLeft, " {\n\t\"epoch\" :\r 1 } \n", true},
		"something behind":          {TypeNodeLeft, `{"epoch":1}x`, false},
		"two objects":               {TypeNodeLeft, `{"epoch":1}{"epoch":1}`, false},
		"an unfinished object":      {TypeNodeLeft, `{"epoch":1,}`, false},
		"another order":             {TypeNodeLost, `{"reason":"a","epoch":2}`, true},
		"a doubled name":            {TypeNodeLost, `{"reason":"a","epoch":2,"reason":"b"}`, false},
		"a name in capitals":        {TypeNodeLeft, `{"Epoch":1}`, false},
		"an escaped name":           {TypeNodeLeft, `{"\u0065poch":1}`, false},
		"a missing name":            {TypeNodeLost, `{"epoch":1}`, false},
		"null":                      {TypeNodeLeft, `{"epoch":null}`, false},
		"nothing at all":            {TypeNodeLeft, ``, false},
		"a leading zero":            {TypeNodeLeft, `{"epoch":01}`, false},
		"a negative count":          {TypeNodeLeft, `{"epoch":-1}`, false},
		"minus zero":                {TypeNodeLeft, `{"epoch":-0}`, false},
		"a fraction":                {TypeNodeLeft, `{"epoch":1.0}`, false},
		"an exponent":               {TypeNodeLeft, `{"epoch":1e1}`, false},
		"the largest number":        {TypeNodeLeft, `{"epoch":18446744073709551615}`, false},
		"more than the largest":     {TypeNodeLeft, `{"epoch":18446744073709551616}`, false},
		"a number in quotes":        {TypeNodeLeft, `{"epoch":"1"}`, false},
		"escapes of one letter":     {TypeNodeLost, `{"epoch":1,"reason":"a\n\t\r\"\\\/"}`, true},
		"escapes of code points":    {TypeNodeLost, `{"epoch":1,"reason":"\u00e9\ud83d\ude00\ud800x\b"}`, true},
		"an unknown escape":         {TypeNodeLost, `{"epoch":1,"reason":"\x"}`, false},
		"an unfinished escape":      {TypeNodeLost, `{"epoch":1,"reason":"\`, false},
		"a line end in a string":    {TypeNodeLost, "{\"epoch\":1,\"reason\":\"\n\"}", false},
		"a long string":             {TypeNodeLost, `{"epoch":1,"reason":"` + strings.Repeat("0123456789", 9) + `"}`, true},
		"bytes that are no UTF-8":   {TypeNodeLost, "{\"epoch\":1,\"reason\":\"0123456789\xff0123456789\"}", false},
		"an escape of no UTF-8":     {TypeNodeLost, "{\"epoch\":1,\"reason\":\"\\\xff\"}", false},
		"a name that is no UTF-8":   {TypeNodeLost, "{\"epoch\":1,\"reason\xff\":\"a\"}", false},
		"a line end far on":         {TypeNodeLost, "{\"epoch\":1,\"reason\":\"0123456789abcdef\n\"}", false},
		"letters beyond ASCII":      {TypeNodeLost, `{"epoch":1,"reason":"é😀"}`, true},
		"a time in another zone":    {TypeCredentialExpired, `{"epoch":1,"serial":"a","not_after":"2026-01-02T03:04:05.6+01:00"}`, true},
		"a time that is none":       {TypeCredentialExpired, `{"epoch":1,"serial":"a","not_after":"2026-01-02"}`, false},
		"an escaped time":           {TypeCredentialExpired, `{"epoch":1,"serial":"a","not_after":"2026-01-02T03:04:05\u005a"}`, false},
		"a rate with an exponent":   {TypeRotationRequested, `{"scope":"fleet","rate_per_second":2.5E-1,"actor":"a"}`, true},
		"a rate beyond all numbers": {TypeRotationRequested, `{"scope":"fleet","rate_per_second":1e999,"actor":"a"}`, false},
		"a rate that ends in a dot": {TypeRotationRequested, `{"scope":"fleet","rate_per_second":1.,"actor":"a"}`, false},
		"a negative zero rate":      {TypeRotationRequested, `{"scope":"fleet","rate_per_second":-0,"actor":"a"}`, true},
		"an empty list":             {TypeCheckpointSigned, `{"size":1,"note":"n","frontier":[ ]}`, true},
		"a list of two":             {TypeCheckpointSigned, `{"size":1,"note":"n","frontier":[ "a" , "b" ]}`, true},
		"null in a list":            {TypeCheckpointSigned, `{"size":1,"note":"n","frontier":[null]}`, false},
		"an unfinished list":        {TypeCheckpointSigned, `{"size":1,"note":"n","frontier":["a",]}`, false},
		"a list in a list":          {TypeCheckpointSigned, `{"size":1,"note":"n","frontier":[["a"]]}`, false},
		"a word that goes on":       {TypeNodeStopRequested, `{"reason":"r","forget":truely}`, false},
		"true":                      {TypeNodeStopRequested, `{"reason":"r","forget":true}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			if quick := sameWays(t, forms[c.typ], []byte(c.body)); quick != c.quick {
				t.Errorf("read the quick way: %v, want %v", quick, c.quick)
			}
		})
	}
}

// FuzzReader looks for a body that the quick way reads and the slow one does not,
// or reads otherwise.
func FuzzReader(f *testing.F) {
	for i, d := range registry {
		e, _ := example(f, d.Type)
		f.Add(uint(i), e.Body)
	}
	f.Fuzz(func(t *testing.T, row uint, body []byte) {
		sameWays(t, forms[registry[row%uint(len(registry))].Type], body)
	})
}
