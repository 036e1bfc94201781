package translate

func tableStation16() []Entry { return nil }
