package inventory

import (
	"bytes"
	"time"
)

// scalar reads a string: in quotes without anything to be unquoted in it, or a
// plain word that is nothing but a string.
func (p *plain) scalar() ([]byte, bool) {
	if q := p.peek(); q == '"' || q == '\'' {
		from := p.at + 1
		for p.at++; p.at < len(p.text) && p.text[p.at] != q; p.at++ {
			if c := p.text[p.at]; c < ' ' || c > '~' || c == '\\' {
				return nil, false
			}
		}
		text := p.text[from:p.at]
		return text, p.take(q) && p.peek() != q
	}
	from := p.at
	for p.at < len(p.text) && wordSign(p.text[p.at]) {
		p.at++
	}
	switch p.peek() {
	case 0, '\n', ' ', ',', ']', '}':
		return p.text[from:p.at], isWord(p.text[from:p.at])
	}
	return nil, false
}

func wordSign(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || c == '-' || c == '_' || c == '.' || c == '/'
}

// isWord says that YAML takes an unquoted word for a string, whoever asks: it
// begins with a letter and means nothing else, or it begins with a digit and holds
// a letter that is in no number. No number, and no date without a colon, has one
// other than an exponent's, or its base's at the second place.
func isWord(word []byte) bool {
	if len(word) == 0 {
		return false
	}
	if isLetter(word[0]) {
		return !meansMore(string(word))
	}
	if word[0] < '0' || word[0] > '9' || len(word) > 1 && bytes.IndexByte([]byte("xXoObB"), word[1]) >= 0 {
		return false
	}
	return bytes.ContainsFunc(word, func(r rune) bool { return isLetter(byte(r)) && r != 'e' && r != 'E' })
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

func meansMore(word string) bool {
	switch word {
	case "true", "True", "TRUE", "false", "False", "FALSE", "null", "Null", "NULL":
		return true
	}
	return false
}

// knownDuration is a duration above 0, as the last one mostly was.
func (w *walk) knownDuration(text []byte) (time.Duration, bool) {
	if d, known := w.durations[string(text)]; known {
		return d, true
	}
	d, err := ParseDuration(string(text))
	if err != nil || d <= 0 {
		return 0, false
	}
	if len(w.durations) < maxShared {
		w.durations[string(text)] = d
	}
	return d, true
}

// maxShared bounds how many texts are kept because they may come again.
const maxShared = 1000

func (w *walk) shared(text []byte) string {
	if s, known := w.texts[string(text)]; known {
		return s
	}
	s := string(text)
	if len(w.texts) < maxShared {
		w.texts[s] = s
	}
	return s
}
