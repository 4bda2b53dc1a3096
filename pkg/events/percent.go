package events

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

const upperHex = "0123456789ABCDEF"

// headerByte says whether the CloudEvents binding writes c as it is.
func headerByte(c byte) bool { return c > ' ' && c < 0x7F && c != '"' && c != '%' }

// percentEncode writes s as the value of a header: space, '"', '%' and all
// that is not printable ASCII become "%" and two upper-case hex digits, byte
// by byte.
func percentEncode(s string) string {
	n := 0
	for i := range len(s) {
		if !headerByte(s[i]) {
			n++
		}
	}
	if n == 0 {
		return s
	}
	b := make([]byte, 0, len(s)+2*n)
	for i := range len(s) {
		if c := s[i]; headerByte(c) {
			b = append(b, c)
		} else {
			b = append(b, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return string(b)
}

// percentDecode decodes s once. Lower-case hex and needless encodings are
// fine; an incomplete escape and bytes that are not UTF-8 are not.
func percentDecode(s string) (string, error) {
	at := strings.IndexByte(s, '%')
	if at >= 0 {
		b := append(make([]byte, 0, len(s)), s[:at]...)
		for i := at; i < len(s); i++ {
			if s[i] != '%' {
				b = append(b, s[i])
				continue
			}
			if i+2 >= len(s) || unhex(s[i+1]) < 0 || unhex(s[i+2]) < 0 {
				return "", fmt.Errorf("\"%%\" at byte %d is not followed by two hex digits", i)
			}
			b = append(b, byte(unhex(s[i+1])<<4|unhex(s[i+2])))
			i += 2
		}
		s = string(b)
	}
	if !utf8.ValidString(s) {
		return "", errors.New("is not valid UTF-8")
	}
	return s, nil
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// headerValue reads the value of a header: a value in double quotes loses
// them and its backslashes, and then the escapes are decoded once.
func headerValue(s string) (string, error) {
	if s != "" && s[0] == '"' {
		var err error
		if s, err = unquote(s); err != nil {
			return "", err
		}
	}
	return percentDecode(s)
}

func unquote(s string) (string, error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			if i != len(s)-1 {
				return "", errors.New("goes on behind its closing quote")
			}
			return b.String(), nil
		case '\\':
			if i++; i == len(s) {
				return "", errors.New("ends in a backslash")
			}
		}
		b.WriteByte(s[i])
	}
	return "", errors.New("lacks its closing quote")
}
