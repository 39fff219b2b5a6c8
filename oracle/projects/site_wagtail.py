"""Settings under which the migrations of wagtail are replayed."""

SECRET_KEY = "not secret: a fixture"
USE_TZ = True
SITE_ID = 1
ROOT_URLCONF = "site_wagtail"
STATIC_URL = "/static/"
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"

urlpatterns = []

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.admin",
    "django.contrib.sites",
    "wagtail.contrib.forms",
    "wagtail.contrib.redirects",
    "wagtail.contrib.search_promotions",
    "wagtail.contrib.settings",
    "wagtail.contrib.simple_translation",
    "wagtail.embeds",
    "wagtail.sites",
    "wagtail.users",
    "wagtail.snippets",
    "wagtail.documents",
    "wagtail.images",
    "wagtail.search",
    "wagtail.admin",
    "wagtail",
    "modelcluster",
    "taggit",
    "modelsearch",
]

MIDDLEWARE = []

TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]

WAGTAIL_SITE_NAME = "fixture"
WAGTAILADMIN_BASE_URL = "http://localhost"

DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "replay"}}
