import datetime as dt
import json
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from bandung.federation.domain.job_file import JobFileError, certificate_uri, read_job, sign
from bandung.gateway.client.jobs import BadJob, Family, Term, canonical_job, job_digest, read_envelope

AUTHOR = "spiffe://idn.bandung.example/analyst/ani"
CREATED = "2026-01-01T00:00:00Z"
FILE = """
name = "rice yield"
purpose = "how much fertiliser pays"
family = "gaussian"
target = "log(yield)"
features = ["log(area)", "season=wet", "square(age)", "price"]
country_intercepts = true
holdout = 0.3

[datasets]
PHL = "rice"
IDN = "rice_farms"

[train_units]
PHL = 10
"""


def credentials(uri=AUTHOR):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ani")])
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + dt.timedelta(days=30))
    if uri:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), critical=False
        )
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    return (
        builder.sign(key, hashes.SHA256()).public_bytes(pem),
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain),
        key,
    )


def test_a_job_file_says_what_is_asked_and_defaults_fill_the_rest():
    job = read_job(FILE, AUTHOR, CREATED)
    assert job.members == ("IDN", "PHL")
    assert job.datasets == (("IDN", "rice_farms"), ("PHL", "rice"))
    assert job.family is Family.GAUSSIAN
    assert job.features[1] == Term("season", "code", "wet")
    assert job.parameters[:3] == ("intercept[IDN]", "intercept[PHL]", "log(area)")
    assert (job.rounds_max, job.cohort_min, job.on_loss) == (25, 2, "pause")


def test_all_problems_of_a_job_file_are_told_at_once():
    broken = FILE.replace('"gaussian"', '"poisson"').replace("holdout = 0.3", 'holdout = 1.5\ncolour = "red"')
    with pytest.raises(JobFileError) as error:
        read_job(broken.replace('"price"]', '"exp(price)"]'), AUTHOR, CREATED)
    told = "; ".join(error.value.problems)
    assert all(word in told for word in ("family", "holdout", "colour", "exp(price)"))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (('"log(yield)"', '"yield=high"'), "gaussian target is a measure"),
        (('"price"]', '"price", "price"]'), "without repeats"),
        (('"price"]', '"yield"]'), "cannot explain itself"),
        (("PHL = 10", "MYS = 10"), "train_units"),
        (('PHL = "rice"', ""), "at least two"),
        (("holdout = 0.3", "cohort_min = 3"), "cohort_min"),
        (("holdout = 0.3", 'author = "me"'), "signing adds it"),
        (("holdout = 0.3", "holdout = "), "not TOML"),
    ],
)
def test_contradictions_in_a_job_file_are_named(change, problem):
    with pytest.raises(JobFileError, match=problem):
        read_job(FILE.replace(*change), AUTHOR, CREATED)


def test_only_analysts_and_services_can_be_authors():
    with pytest.raises(JobFileError, match="author"):
        read_job(FILE, "spiffe://idn.bandung.example/custodian/citra", CREATED)


def test_a_signed_job_verifies_with_the_certificate_that_travels_with_it():
    certificate, key_pem, key = credentials()
    job = read_job(FILE, AUTHOR, CREATED)
    envelope = read_envelope(sign(job, certificate, key_pem))
    assert envelope.job == job
    assert envelope.certificate == certificate
    assert envelope.payload == b"bandung-job/v1\n" + canonical_job(job)
    key.public_key().verify(envelope.signature, envelope.payload, ec.ECDSA(hashes.SHA256()))


def test_the_digest_is_of_the_job_not_of_its_signature():
    job = read_job(FILE, AUTHOR, CREATED)
    first, second = (read_envelope(sign(job, *credentials()[:2])) for _ in range(2))
    assert first.digest == second.digest == job_digest(job)
    assert first.signature != second.signature


def test_nobody_signs_for_another():
    certificate, key, _ = credentials("spiffe://idn.bandung.example/analyst/budi")
    with pytest.raises(JobFileError, match="does not name"):
        sign(read_job(FILE, AUTHOR, CREATED), certificate, key)
    with pytest.raises(JobFileError, match="not the elliptic-curve key"):
        sign(read_job(FILE, AUTHOR, CREATED), certificate, credentials()[1])
    with pytest.raises(JobFileError, match="exactly one URI"):
        certificate_uri(credentials(uri=None)[0])


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"{" * 100_000,
        b"[" * 60_000,
        b"\xff\xfe",
        json.dumps({"job": {}, "certificate": "", "signature": "", "more": 1}).encode(),
        json.dumps({"job": {}, "certificate": "", "signature": "%%%"}).encode(),
    ],
    ids=["empty", "list", "large", "deep", "not text", "extra field", "empty job"],
)
def test_an_envelope_from_anywhere_is_read_or_refused_and_never_breaks(document):
    with pytest.raises(BadJob):
        read_envelope(document)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda c: st.lists(c) | st.dictionaries(st.text(), c)
    )
)
def test_any_json_in_place_of_a_job_is_refused_in_words(value):
    with pytest.raises(BadJob) as error:
        read_envelope(
            json.dumps({"job": {"family": value, "members": value}, "certificate": "", "signature": ""}).encode()
        )
    assert error.value.problems


@pytest.mark.parametrize("name", ["x", "log(x)", "square(x_1)", "x=a b", "x=log(y)", "x==", "x=é"])
def test_a_term_is_its_name(name):
    assert Term.parse(name).name == name


@pytest.mark.parametrize("name", ["", "X", "exp(x)", "log(x", "log(x)=1", "x=", "1x", "log(log(x))", "x y"])
def test_what_is_no_term_is_not_taken_for_one(name):
    with pytest.raises(ValueError, match="none of"):
        Term.parse(name)


def test_the_documented_job_file_is_one():
    text = (Path(__file__).parents[2] / "docs" / "training.md").read_text("utf-8")
    job = read_job(text.split("```toml\n")[1].split("```")[0], AUTHOR, CREATED)
    assert job.train_units == (("PHL", 10),)
