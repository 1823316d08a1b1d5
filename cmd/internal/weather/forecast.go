package weather

import (
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"unicode/utf8"
)

// maxCity is the length of the longest name of a city, in characters.
const maxCity = 100

var skies = []string{"clear sky", "a few clouds", "overcast", "fog", "light rain", "heavy rain", "thunderstorms", "snow"}

// forecast is the weather of one city.
type forecast struct {
	City        string `json:"city" jsonschema:"the city that was asked for"`
	Sky         string `json:"sky" jsonschema:"what the sky looks like"`
	HighCelsius int    `json:"highCelsius" jsonschema:"the highest temperature of the day"`
	LowCelsius  int    `json:"lowCelsius" jsonschema:"the lowest temperature of the day"`
	Alert       string `json:"alert,omitempty" jsonschema:"the alert for the city, if there is one"`
}

// makeUp returns the forecast for a city: the same whenever and wherever it is
// asked for, so that a test can tell whose answer it got.
func makeUp(city string) forecast {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key(city))) // a hash takes everything
	n := int(h.Sum32() >> 1)          // not negative, however wide an int is
	f := forecast{City: city, Sky: skies[n%len(skies)], LowCelsius: n / 8 % 20}
	f.HighCelsius = f.LowCelsius + 3 + n/160%10
	if f.Sky == "snow" {
		f.LowCelsius -= 20
		f.HighCelsius = f.LowCelsius + 3
	}
	return f
}

// String is the forecast in words.
func (f forecast) String() string {
	s := fmt.Sprintf("%s: %s, between %d and %d °C.", f.City, f.Sky, f.LowCelsius, f.HighCelsius)
	if f.Alert != "" {
		s += " Alert: " + f.Alert
	}
	return s
}

// checkCity refuses what is no name of a city.
func checkCity(city string) error {
	if strings.TrimSpace(city) == "" {
		return errors.New("city is empty: name one, such as Utrecht")
	}
	if utf8.RuneCountInString(city) > maxCity {
		return fmt.Errorf("city is longer than %d characters", maxCity)
	}
	return nil
}

// key makes spellings of one city's name the same.
func key(city string) string { return strings.ToLower(strings.TrimSpace(city)) }
