package events

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
	"time"
)

// reader reads one JSON value at the start of text into v and returns what
// follows it. It says false where it cannot or will not.
//
// Most of what a fold costs would be encoding/json, which looks at each byte
// twice and at each name anew. A reader knows the one shape that is legal and
// goes over the text once. It never refuses for good: what it does not read is
// left to the slower way, which also says what is wrong. So it must only be
// right about what it does read.
type reader func(text []byte, v reflect.Value) (rest []byte, ok bool)

// readerOf makes the reader for a type; nil where its kind, or that of
// something in it, is left to encoding/json.
func readerOf(t reflect.Type) reader {
	if t == reflect.TypeFor[time.Time]() {
		return readTime
	}
	if readsItself(t) {
		return nil
	}
	switch t.Kind() {
	case reflect.String:
		return readString
	case reflect.Bool:
		return readBool
	case reflect.Int, reflect.Int64:
		return readInt
	case reflect.Uint, reflect.Uint64:
		return readUint
	case reflect.Float64:
		return readFloat
	case reflect.Slice:
		return listReader(t.Elem())
	case reflect.Struct:
		return objectReader(t)
	}
	return nil
}

// readsItself says whether encoding/json lets the type read its own text.
func readsItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(reflect.TypeFor[json.Unmarshaler]()) || p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// listReader leaves bytes alone, which are base64.
func listReader(elem reflect.Type) reader {
	read := readerOf(elem)
	if read == nil || elem.Kind() == reflect.Uint8 {
		return nil
	}
	empty := reflect.MakeSlice(reflect.SliceOf(elem), 0, 0)
	return func(text []byte, v reflect.Value) ([]byte, bool) {
		text, ok := skip(text, '[')
		if !ok {
			return nil, false
		}
		if rest, ok := skip(text, ']'); ok {
			v.Set(empty)
			return rest, true
		}
		for n := 0; ; n++ {
			v.Grow(1)
			v.SetLen(n + 1)
			if text, ok = read(space(text), v.Index(n)); !ok {
				return nil, false
			}
			if rest, more := skip(text, ','); more {
				text = rest
				continue
			}
			return skip(text, ']')
		}
	}
}

// member is a field of an object.
type member struct {
	name  string
	index []int
	read  reader
}

// object reads the members that shape knows, by the same numbers.
type object struct {
	members  []member
	required uint64
}

// objectReader reads the fields as shapeOf lists them.
func objectReader(t reflect.Type) reader {
	o := &object{required: shapeOf(t).required}
	if !o.add(t, nil) || len(o.members) > 64 {
		return nil
	}
	return o.read
}

func (o *object) add(t reflect.Type, under []int) bool {
	for i := range t.NumField() {
		f := t.Field(i)
		index := append(append([]int(nil), under...), i)
		tag := f.Tag.Get("json")
		if f.Anonymous && tag == "" {
			if f.Type.Kind() != reflect.Struct || !o.add(f.Type, index) {
				return false
			}
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		read := readerOf(f.Type)
		if read == nil || name == "" || name == "-" || options != "" && options != "omitempty" && options != "omitzero" {
			return false
		}
		o.members = append(o.members, member{name: name, index: index, read: read})
	}
	return true
}

func (o *object) read(text []byte, v reflect.Value) ([]byte, bool) {
	text, ok := skip(text, '{')
	if !ok {
		return nil, false
	}
	if rest, ok := skip(text, '}'); ok {
		return rest, o.required == 0
	}
	var seen uint64
	for next := 0; ; next++ {
		var name []byte
		if name, text, ok = plainString(space(text)); !ok {
			return nil, false
		}
		if next = o.find(name, next); next < 0 || seen&(1<<next) != 0 {
			return nil, false
		}
		seen |= 1 << next
		if text, ok = skip(text, ':'); !ok {
			return nil, false
		}
		m := &o.members[next]
		if text, ok = m.read(space(text), field(v, m.index)); !ok {
			return nil, false
		}
		if rest, more := skip(text, ','); more {
			text = rest
			continue
		}
		text, ok = skip(text, '}')
		return text, ok && o.required&^seen == 0
	}
}

func field(v reflect.Value, index []int) reflect.Value {
	for _, i := range index {
		v = v.Field(i)
	}
	return v
}

// find looks for a name from the member on that would be next: writers keep to
// the order of the fields, and leave some out.
func (o *object) find(name []byte, next int) int {
	for i := next; i < len(o.members); i++ {
		if o.members[i].name == string(name) {
			return i
		}
	}
	for i := range min(next, len(o.members)) {
		if o.members[i].name == string(name) {
			return i
		}
	}
	return -1
}
