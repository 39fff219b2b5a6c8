"""Settings under which the migrations of django-helpdesk are replayed."""

SECRET_KEY = "not secret: a fixture"
USE_TZ = True
SITE_ID = 1
ROOT_URLCONF = "site_django_helpdesk"
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
    "helpdesk",
]

MIDDLEWARE = []

TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]

HELPDESK_TEAMS_MODE_ENABLED = False

DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "replay"}}
