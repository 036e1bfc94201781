package translate

func table201() []Entry { return nil }
