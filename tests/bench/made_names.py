"""Names for a block list, in random order, no duplicates, that resemble what real lists hold; the same seed gives the same.

45 % are registrable domains (word mixes, pronounceable strings, random ones, campaigns that differ in a letter), the rest hosts
below suffixes of which some have tens of thousands; 2 to 6 labels, with digits and the usual mix of top-level domains."""

import random

WORDS = ("ad ads adv banner click track tracker tracking pixel stat stats metric metrics analytics beacon count counter log logs event events data api cdn img "
     "static media video play stream game bet casino poker slot win bonus cash loan credit pay bank secure login account verify update support service mail web "
     "cloud host server node edge app apps mobile phone smart home shop store buy sale deal offer promo market trade crypto coin wallet token nft swap dex "
     "news blog post daily times world city local travel hotel flight car auto moto health diet slim pharma med care skin beauty love date dating meet chat cam "
     "live free best top super mega ultra pro plus max mini easy fast quick speed rapid instant direct link go get find search "
     "seek quest nova star sun moon sky blue red green black white gold silver iron stone rock river lake sea ocean wave wind fire storm rain snow ice tree leaf "
     "flower rose lion tiger wolf bear fox eagle hawk dragon magic power energy force tech soft code dev lab net hub zone space land port gate bridge road way path "
     "point spot place base core prime alpha beta delta omega sigma one two three first next new old big little great true real pure clean clear fresh bright light").split()
ENDINGS = [("com", 470), ("net", 70), ("org", 40), ("ru", 38), ("de", 32), ("xyz", 30), ("top", 28), ("info", 26), ("co.uk", 16), ("cn", 15), ("online", 15), ("site", 14),
       ("com.br", 14), ("nl", 13), ("io", 12), ("shop", 12), ("pl", 12), ("fr", 11), ("it", 10), ("cc", 10), ("club", 9), ("pro", 9), ("app", 8), ("live", 8), ("me", 8),
       ("jp", 7), ("in", 7), ("us", 7), ("biz", 6), ("icu", 6), ("vip", 6), ("space", 5), ("store", 5), ("eu", 5), ("tk", 5), ("ml", 4), ("click", 4), ("link", 4),
       ("co.jp", 3), ("com.au", 3), ("es", 3), ("se", 3), ("ch", 3), ("tv", 3), ("work", 3), ("dev", 2), ("fun", 2), ("website", 2), ("com.tr", 2), ("xn--p1ai", 2)]
HOSTS = ("www www www www m ads ad track tracking t s metrics smetrics stats analytics pixel click go link img static cdn api a b c r e x app mail email em login "
       "secure mobile de fr uk us es it ru beta dev test news info l v1 v2 data collect events telemetry log wwww web shop blog go2 lp offer promo cpanel webmail autodiscover").split()
CONSONANTS, VOWELS, LETTERS, DIGITS = "bcdfghjklmnprstvz", "aeiou", "abcdefghijklmnopqrstuvwxyz", "0123456789"


def names(count, seed):
    rng = random.Random(seed)
    chance, choice = rng.random, rng.choice
    endings = [ending for ending, share in ENDINGS for _ in range(share)]

    def label():
        kind = chance()
        if kind < 0.52:
            text = choice(WORDS) + choice(("", "", "", "", "-")) + choice(WORDS)
            if chance() < 0.25:
                text += choice(WORDS)
            if chance() < 0.22:
                text += str(rng.randint(1, 9999 if chance() < 0.3 else 99))
            return text
        if kind < 0.80:
            syllables = (choice(CONSONANTS) + choice(VOWELS) for _ in range(rng.randint(2, 5)))
            return "".join(syllables) + choice(("", "", "n", "r", "s", "x", "ly", "ify", "er"))
        if kind < 0.93:
            return "".join(choice(LETTERS) for _ in range(rng.randint(5, 14)))
        return choice(LETTERS) + "".join(choice(LETTERS + DIGITS) for _ in range(rng.randint(6, 20)))

    seen, domains = set(), []
    while len(domains) < int(count * 0.45):
        stem, ending = label(), choice(endings)
        family = [f"{stem}.{ending}"]
        if chance() < 0.06:  # a campaign
            for _ in range(min(int(rng.paretovariate(0.9)), 60)):
                at = rng.randrange(len(stem) + 1)
                other = ending if chance() < 0.7 else choice(endings)
                family.append(f"{stem[:at].rstrip('-')}{choice(LETTERS + DIGITS)}{stem[at:]}.{other}")
        for name in family:
            if name not in seen:
                seen.add(name)
                domains.append(name)

    parent_count = max(10, int(count * 0.12))
    parents = [choice(domains) if chance() < 0.12 else f"{label()}.{choice(endings)}" for _ in range(parent_count)]
    styles = [rng.randrange(5) for _ in parents]
    while len(seen) < count:
        i = min(int(parent_count * chance() ** 3.2), parent_count - 1)  # a heavy tail
        if i < parent_count * 0.002 or styles[i] == 0:  # a machine's labels
            kind = chance()
            if kind < 0.4:
                host = "".join(choice("0123456789abcdef") for _ in range(choice((6, 8, 8, 12, 16))))
            elif kind < 0.7:
                host = f"{choice(HOSTS)}{rng.randint(1, 9999)}"
            else:
                host = f"{choice(WORDS)}-{choice(WORDS)}-{rng.randint(1, 999)}" if kind < 0.85 else label()
        elif styles[i] <= 2:
            host = choice(HOSTS) + (str(rng.randint(1, 99)) if chance() < 0.4 else "")
        else:
            host = label() if chance() < 0.6 else choice(WORDS)
        if chance() < 0.12:
            host = f"{choice(HOSTS)}.{host}"
        if chance() < 0.03:
            host += f".{choice(('eu', 'us', 'asia', 'prod', 'dc1', 'fra', 'nyc'))}{rng.randint(1, 9)}"
        seen.add(f"{host}.{parents[i]}")
    made = sorted(seen)
    rng.shuffle(made)
    return made[:count]
