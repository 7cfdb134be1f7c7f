package compare

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"
	"unicode"
)

// MarshalJSON implements json.Marshaler. Keys are the names of the fields, in their order and in snake case: difference,
// requests_a, utilisation_b; durations end in _ns. null stands for NaN and for what is nil; a list without elements is [].
func (c Comparison) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	if err := encodeFields(&out, reflect.ValueOf(c)); err != nil {
		return nil, fmt.Errorf("a comparison as JSON: %w", err)
	}
	return out.Bytes(), nil
}

func encode(out *bytes.Buffer, v reflect.Value) error {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			out.WriteString("null")
			return nil
		}
		return encode(out, v.Elem())
	case reflect.Slice:
		out.WriteByte('[')
		for i := range v.Len() {
			if i > 0 {
				out.WriteByte(',')
			}
			if err := encode(out, v.Index(i)); err != nil {
				return err
			}
		}
		out.WriteByte(']')
		return nil
	case reflect.Float64:
		if x := v.Float(); math.IsNaN(x) || math.IsInf(x, 0) {
			out.WriteString("null")
			return nil
		}
	case reflect.Struct:
		if _, marshals := v.Interface().(json.Marshaler); !marshals {
			return encodeFields(out, v)
		}
	}
	data, err := json.Marshal(v.Interface())
	out.Write(data)
	return err
}

func encodeFields(out *bytes.Buffer, v reflect.Value) error {
	out.WriteByte('{')
	for i := range v.NumField() {
		if i > 0 {
			out.WriteByte(',')
		}
		f := v.Type().Field(i)
		fmt.Fprintf(out, "%q:", key(f))
		if err := encode(out, v.Field(i)); err != nil {
			return err
		}
	}
	out.WriteByte('}')
	return nil
}

// key is a field's name in snake case: RequestsA is requests_a, ID is id.
func key(f reflect.StructField) string {
	var b strings.Builder
	for i, r := range f.Name {
		if unicode.IsUpper(r) && i > 0 && !unicode.IsUpper(rune(f.Name[i-1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	if f.Type == reflect.TypeFor[time.Duration]() {
		b.WriteString("_ns")
	}
	return b.String()
}
