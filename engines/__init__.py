"""The outside, behind protocols: speech, language, object stores, audio. Each adapter translates its vendor's errors."""
